import { useState } from 'react'
import { ask, pathTo } from '../api/client.ts'
import type { Credential } from '../api/types.ts'
import { Act } from './act.tsx'
import { FormField } from './form-field.tsx'

const edits = 'CredentialsEdit'

interface SecretField {
  /** Its name in the API. */
  readonly name: string
  readonly label: string
  /** Of several lines, and pasted rather than typed. */
  readonly isText?: boolean
}

const pair: readonly SecretField[] = [
  { name: 'certificate', label: 'New certificate (PEM)', isText: true },
  { name: 'privateKey', label: 'Its private key (PEM)', isText: true },
]
const fieldsBySecret: Readonly<Record<string, readonly SecretField[]>> = {
  password: [{ name: 'password', label: 'New password' }],
  secret: [{ name: 'secret', label: 'New secret' }],
  clientSecret: [{ name: 'clientSecret', label: 'New client secret' }],
  privateKey: pair,
  knownHosts: [{ name: 'knownHosts', label: 'Lines of known_hosts', isText: true }],
}

/** The button, and the question in which a password, client secret or certificate takes the place of the old one. */
export function RenewSecret(props: { readonly credential: Credential; onChange(): void }) {
  const { name, revision, secrets } = props.credential
  const [given, setGiven] = useState<Readonly<Record<string, string>>>({})
  /** That of when somebody began to type: a change by others meanwhile is not overwritten. */
  const [revisionSeen, setRevisionSeen] = useState<number>()
  const fields = fieldsOf(secrets)
  const filled = Object.entries(given).filter(([, value]) => value.trim() !== '')
  const words = fields === pair ? 'New certificate' : fields.length > 1 ? 'New secrets' : 'New secret'

  return (
    <Act
      words={words}
      design={props.credential.status.state === 'refused' ? 'Emphasized' : 'Default'}
      permission={edits}
      unless={fields.length === 0 ? 'It keeps no secret.' : undefined}
      missing={filled.length === 0 ? 'secret' : undefined}
      onClose={() => {
        setGiven({})
        setRevisionSeen(undefined)
      }}
      confirm={{
        title: `${words} for ${name}`,
        consequence: (
          <p>
            It acts at the next use, and what waits for this credential is tried again. Settings and sign-in stay.{' '}
            <strong>The old one is gone from the hub.</strong>
          </p>
        ),
        fields: fields.map(field => (
          <FormField
            key={field.name}
            label={field.label}
            isText={field.isText}
            isSecret
            value={given[field.name] ?? ''}
            onValue={value => {
              setRevisionSeen(before => before ?? revision)
              setGiven(before => ({ ...before, [field.name]: value }))
            }}
          />
        )),
      }}
      act={async () => {
        const path = pathTo`/api/credentials/${name}/renew`
        await ask('POST', `${path}?revision=${revisionSeen ?? revision}`, { body: Object.fromEntries(filled) })
        props.onChange()
        return `${words} in use.`
      }}
    />
  )
}

function fieldsOf(secrets: readonly string[]): readonly SecretField[] {
  const [only, ...others] = secrets
  if (only !== undefined && others.length === 0) return fieldsBySecret[only] ?? []
  return secrets.flatMap(secret => fieldsBySecret[secret] ?? [])
}
