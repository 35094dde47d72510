import { ask, pathTo } from '../api/client.ts'
import type { Credential } from '../api/types.ts'
import { useEdit } from '../api/use-edit.ts'
import { type FormField, settingsOf } from '../words/form.ts'
import { Act } from './act.tsx'
import { SettingsFields } from './settings-fields.tsx'

const edits = 'CredentialsEdit'

const pair: readonly FormField[] = [
  { path: 'certificate', label: 'New certificate (PEM)', type: 'text' },
  { path: 'privateKey', label: 'Its private key (PEM)', type: 'text', isSecret: true },
]
const fieldsBySecret: Readonly<Record<string, readonly FormField[]>> = {
  password: [{ path: 'password', label: 'New password', isSecret: true }],
  secret: [{ path: 'secret', label: 'New secret', isSecret: true }],
  clientSecret: [{ path: 'clientSecret', label: 'New client secret', isSecret: true }],
  privateKey: pair,
  knownHosts: [{ path: 'knownHosts', label: 'Lines of known_hosts', type: 'text', isSecret: true }],
}

/** The button, and the question in which a password, client secret or certificate takes the place of the old one. */
export function RenewSecret({ credential, onChange }: { readonly credential: Credential; onChange(): void }) {
  const { name, secrets } = credential
  const { typed, revision, type, forget } = useEdit(credential.revision)
  const fields = fieldsOf(secrets)
  const given = settingsOf(fields, typed)
  const words = fields === pair ? 'New certificate' : fields.length > 1 ? 'New secrets' : 'New secret'

  return (
    <Act
      words={words}
      design={credential.status.state === 'refused' ? 'Emphasized' : 'Default'}
      permission={edits}
      unless={fields.length === 0 ? 'It keeps no secret.' : undefined}
      missing={Object.keys(given).length === 0 ? 'secret' : undefined}
      onClose={forget}
      confirm={{
        title: `${words} for ${name}`,
        consequence: (
          <p>
            It acts at the next use, and what waits for this credential is tried again. Settings and sign-in stay.{' '}
            <strong>The old one is gone from the hub.</strong>
          </p>
        ),
        fields: <SettingsFields fields={fields} typed={typed} onTyped={type} />,
      }}
      act={async () => {
        await ask('POST', `${pathTo`/api/credentials/${name}/renew`}?revision=${revision}`, { body: given })
        onChange()
        return `${words} in use.`
      }}
    />
  )
}

function fieldsOf(secrets: readonly string[]): readonly FormField[] {
  const [only, ...others] = secrets
  if (only !== undefined && others.length === 0) return fieldsBySecret[only] ?? []
  return secrets.flatMap(secret => fieldsBySecret[secret] ?? [])
}
