import { Button, Input, Label } from '@ui5/webcomponents-react'
import { type FormEvent, useState } from 'react'
import { ask, type Refusal, refusalOf } from '../api/client.ts'
import type { Session } from '../api/types.ts'
import { notify } from '../parts/act.tsx'
import { Facts } from '../parts/facts.tsx'
import { FailureStrip } from '../parts/failure.tsx'
import { Card, Page } from '../parts/page.tsx'
import { RecoveryCodes } from '../parts/recovery-codes.tsx'
import { useSession } from '../session/session.ts'
import { countWords } from '../words/format.ts'

/** Who is signed in: what they may, their own password and authenticator. */
export default function Account() {
  const { session } = useSession()
  const { name, roles } = session.administrator
  const isOfProvider = name.startsWith('oidc:')
  return (
    <Page title="Your account" about={name}>
      <div className="side-by-side">
        <Card title="What you may do">
          <Facts
            of={[
              ['Roles', roles.join(', ')],
              ['Rights', session.permissions.join(', ')],
            ]}
          />
        </Card>
        {isOfProvider ? (
          <Card title="Sign-in">
            <p className="note">Your organization vouches for you: password and second factor are set there.</p>
          </Card>
        ) : (
          <>
            <PasswordCard hasTotp={session.administrator.hasTotp} />
            <AuthenticatorCard />
          </>
        )}
      </div>
    </Page>
  )
}

/** What both forms do with their call: busy, the refusal, and the session that comes back. */
function useChange() {
  const { renew } = useSession()
  const [failure, setFailure] = useState<Refusal['problem']>()
  const [isBusy, setBusy] = useState(false)

  async function change(event: FormEvent, call: () => Promise<Session | undefined>, said: string): Promise<boolean> {
    event.preventDefault()
    setBusy(true)
    setFailure(undefined)
    try {
      const session = await call()
      if (session) renew(session)
      if (said !== '') notify(said)
      return true
    } catch (thrown) {
      setFailure(refusalOf(thrown))
      return false
    } finally {
      setBusy(false)
    }
  }
  return { failure, isBusy, change }
}

function PasswordCard({ hasTotp }: { readonly hasTotp: boolean }) {
  const { failure, isBusy, change } = useChange()
  const [current, setCurrent] = useState('')
  const [code, setCode] = useState('')
  const [password, setPassword] = useState('')

  async function send(event: FormEvent) {
    const body = { current, password, ...(code !== '' && { code }) }
    const isDone = await change(
      event,
      () => ask<Session>('PUT', '/api/session/password', { body }),
      'Your password is changed; your other sessions have ended.',
    )
    if (!isDone) return
    setCurrent('')
    setCode('')
    setPassword('')
  }

  return (
    <Card title="Password">
      <form className="form inside" onSubmit={event => void send(event)}>
        <Secret id="current-password" label="Current password" value={current} onValue={setCurrent} />
        {hasTotp && <Code id="password-code" label="Code of your authenticator" value={code} onValue={setCode} />}
        <Secret id="new-password" label="New password" value={password} onValue={setPassword} />
        <FailureStrip failure={failure} />
        <Button type="Submit" loading={isBusy} disabled={current === '' || password === ''}>
          Change password
        </Button>
      </form>
    </Card>
  )
}

function AuthenticatorCard() {
  const { session } = useSession()
  const { failure, isBusy, change } = useChange()
  const [begun, setBegun] = useState<{ readonly secret: string; readonly uri: string }>()
  const [code, setCode] = useState('')
  const [codes, setCodes] = useState<readonly string[]>()
  const { hasTotp, recoveryCodesLeft } = session.administrator

  async function newCodes(event: FormEvent) {
    const isDone = await change(
      event,
      async () => {
        const made = await ask<{ recoveryCodes: string[] }>('POST', '/api/session/recovery-codes', {
          body: { code: code.trim() },
        })
        setCodes(made.recoveryCodes)
        return ask<Session>('GET', '/api/session')
      },
      'The recovery codes of before count no more.',
    )
    if (isDone) setCode('')
  }

  if (codes) {
    return (
      <Card title="Authenticator">
        <RecoveryCodes codes={codes} onKept={() => setCodes(undefined)} />
      </Card>
    )
  }
  if (!begun && hasTotp) {
    return (
      <Card title="Authenticator">
        <form className="form inside" onSubmit={event => void newCodes(event)}>
          <p>
            Each sign-in asks for a code of your authenticator beside the password. Without it a recovery code counts,
            each once: <strong>{countWords(recoveryCodesLeft, 'code')}</strong> left. For another phone an administrator
            takes this authenticator away first.
          </p>
          <Code id="recovery-code" label="Code of your authenticator" value={code} onValue={setCode} />
          <FailureStrip failure={failure} />
          <Button type="Submit" loading={isBusy} disabled={code.trim() === ''}>
            New recovery codes
          </Button>
        </form>
      </Card>
    )
  }
  if (!begun) {
    return (
      <Card title="Authenticator">
        <form
          className="form inside"
          onSubmit={event =>
            void change(
              event,
              async () => {
                setBegun(await ask('POST', '/api/session/totp'))
                return undefined
              },
              '',
            )
          }
        >
          <p>Nothing but your password keeps others out. An authenticator on your phone adds a code to each sign-in.</p>
          <FailureStrip failure={failure} />
          <Button type="Submit" design="Emphasized" loading={isBusy}>
            Set up an authenticator
          </Button>
        </form>
      </Card>
    )
  }
  return (
    <Card title="Authenticator">
      <form
        className="form inside"
        onSubmit={event =>
          void change(
            event,
            async () => {
              const body = { code: code.trim() }
              const { recoveryCodes, ...session } = await ask<Session & { recoveryCodes: string[] }>(
                'PUT',
                '/api/session/totp',
                { body },
              )
              setCodes(recoveryCodes)
              return session
            },
            'From now on each sign-in asks for a code.',
          ).then(isDone => {
            if (!isDone) return
            setBegun(undefined)
            setCode('')
          })
        }
      >
        <p>
          Enter this secret in your authenticator, or <a href={begun.uri}>open it there</a> if it is on this machine. It
          is shown this once.
        </p>
        <code className="secret">{begun.secret.replaceAll(/(.{4})(?=.)/g, '$1 ')}</code>
        <Code id="first-code" label="The code that it shows now" value={code} onValue={setCode} />
        <FailureStrip failure={failure} />
        <Button type="Submit" design="Emphasized" loading={isBusy} disabled={code.trim() === ''}>
          Confirm
        </Button>
      </form>
    </Card>
  )
}

interface FieldProps {
  readonly id: string
  readonly label: string
  readonly value: string
  onValue(value: string): void
}

function Secret({ id, label, value, onValue }: FieldProps) {
  return (
    <div className="field">
      <Label for={id}>{label}</Label>
      <Input
        id={id}
        type="Password"
        accessibleName={label}
        value={value}
        onInput={event => onValue(event.target.value ?? '')}
      />
    </div>
  )
}

function Code({ id, label, value, onValue }: FieldProps) {
  return (
    <div className="field">
      <Label for={id}>{label}</Label>
      <Input id={id} accessibleName={label} value={value} onInput={event => onValue(event.target.value ?? '')} />
    </div>
  )
}
