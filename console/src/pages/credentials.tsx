import { ask, pathTo } from '../api/client.ts'
import type { Credential } from '../api/types.ts'
import { useAnswer } from '../api/use-answer.ts'
import { Act, ReadOnlyNote } from '../parts/act.tsx'
import { Code } from '../parts/code.tsx'
import { ChangeCredential, CreateCredential } from '../parts/credential-editor.tsx'
import { Facts, Nothing } from '../parts/facts.tsx'
import { ErrorWords, Shown } from '../parts/failure.tsx'
import { Card, Page } from '../parts/page.tsx'
import { RenewSecret } from '../parts/renew-secret.tsx'
import { StateTag } from '../parts/tags.tsx'
import { At } from '../parts/when.tsx'
import { useSession } from '../session/session.ts'

const edits = 'CredentialsEdit'

/** What the hub shows to others to be let in: whether it still works, and the sign-in where a person has to. */
export default function Credentials() {
  const { may, reason } = useSession()
  const credentials = useAnswer<{ credentials: readonly Credential[] }>(
    may('CredentialsRead') ? '/api/credentials' : undefined,
    10_000,
  )
  return (
    <Page
      title="Credentials"
      about="What the hub proves itself with at other systems. Secrets go in and never come out."
      actions={<CreateCredential onChange={credentials.reload} />}
    >
      {may('CredentialsRead') ? (
        <>
          <ReadOnlyNote permissions={[edits]} />
          <Shown of={credentials}>
            {data =>
              data.credentials.length === 0 ? (
                <Card title="Credentials">
                  <Nothing title="There is no credential yet.">
                    A flow names the credential that it signs in with; create it here under that name.
                  </Nothing>
                </Card>
              ) : (
                <div className="cards">
                  {worstFirst(data.credentials).map(credential => (
                    <CredentialCard key={credential.name} credential={credential} onChange={credentials.reload} />
                  ))}
                </div>
              )
            }
          </Shown>
        </>
      ) : (
        <Card title="Credentials">
          <p className="note">{reason('CredentialsRead')}</p>
        </Card>
      )}
    </Page>
  )
}

function CredentialCard({ credential, onChange }: { readonly credential: Credential; onChange(): void }) {
  const { name, kind, settings, secrets, status, changedAt } = credential
  const { certificate, error } = status
  return (
    <Card title={name} aside={<StateTag state={status.state} />} className={status.state === 'ready' ? '' : 'wrong'}>
      {error && <ErrorWords what={error.message} error={error} />}
      <Facts
        of={[
          ['Kind', kind],
          ['Signed in', status.user],
          ['Token ends', status.expiresAt && <At key="ends" time={status.expiresAt} />],
          ['Renewed', status.lastRefreshAt && <At key="renewed" time={status.lastRefreshAt} />],
          ['Authorised', status.authorisedAt && <At key="authorised" time={status.authorisedAt} />],
          ['Certificate', certificate?.subject],
          ['Certificate ends', certificate && <At key="certificate" time={certificate.endsAt} />],
          ['Secrets kept', secrets.length > 0 ? secrets.join(', ') : undefined],
          ['Changed', <At key="changed" time={changedAt} />],
        ]}
      />
      <details className="inside">
        <summary>Settings</summary>
        <Code label={`Settings of ${name}`} text={JSON.stringify(settings, undefined, 2)} />
      </details>
      <div className="card-acts">
        {kind === 'oauth2-authorization-code' && (
          <Act
            words="Sign in"
            design={status.state === 'needs-authorisation' ? 'Emphasized' : 'Default'}
            permission={edits}
            confirm={{
              title: `Sign in for ${name}?`,
              consequence: (
                <>
                  <p>
                    The browser leaves for the sign-in server in another tab. Sign in there as the account that the hub
                    shall act as, <strong>not as yourself</strong>.
                  </p>
                  <p>What waits for this credential travels on as soon as it works.</p>
                </>
              ),
            }}
            act={() => signInElsewhere(name)}
          />
        )}
        <RenewSecret credential={credential} onChange={onChange} />
        <ChangeCredential credential={credential} onChange={onChange} />
        <Act
          words="Delete"
          design="Transparent"
          permission={edits}
          confirm={{
            title: `Delete ${name}?`,
            consequence: (
              <p>
                Flows that name it can no longer sign in. <strong>Its secrets are gone for good.</strong>
              </p>
            ),
          }}
          act={async () => {
            await ask('DELETE', pathTo`/api/credentials/${name}`)
            onChange()
            return `${name} is deleted.`
          }}
        />
      </div>
    </Card>
  )
}

function worstFirst(credentials: readonly Credential[]): readonly Credential[] {
  const rank = ({ status }: Credential) => (status.state === 'ready' ? 1 : 0)
  return credentials.toSorted((one, other) => rank(one) - rank(other) || one.name.localeCompare(other.name))
}

/** In another tab, which is opened at once: browsers let nobody open one who comes back from the hub first. */
async function signInElsewhere(name: string): Promise<string> {
  const tab = window.open('about:blank', '_blank')
  if (!tab) return 'The browser opened no other tab. Allow this page to do so, and try again.'
  // The sign-in server is to know nothing of this page.
  tab.opener = null
  try {
    const { url } = await ask<{ url: string }>('POST', pathTo`/api/credentials/${name}/authorise`)
    tab.location.replace(url)
  } catch (thrown) {
    tab.close()
    throw thrown
  }
  return 'Sign in in the other tab; this page shows when it worked.'
}
