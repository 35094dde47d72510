import { useState } from 'react'
import { ask, pathTo } from '../api/client.ts'
import type { Credential } from '../api/types.ts'
import { useEdit } from '../api/use-edit.ts'
import {
  type CredentialKind,
  credentialKinds,
  fieldsOf,
  hasProvider,
  type Provider,
  providerOf,
  providers,
} from '../words/credential-form.ts'
import { missingField, settingsOf, typedOf } from '../words/form.ts'
import { Act } from './act.tsx'
import { Field } from './field.tsx'
import { SettingsFields } from './settings-fields.tsx'

const edits = 'CredentialsEdit'
const [usual] = credentialKinds

/** The button, and the form in which a credential of any kind is created. */
export function CreateCredential({ onChange }: { onChange(): void }) {
  const [name, setName] = useState('')
  const [kindName, setKindName] = useState(usual?.kind)
  const [provider, setProvider] = useState<Provider>('microsoft365')
  const { typed, type, forget } = useEdit(0)
  const kind = credentialKinds.find(each => each.kind === kindName)
  if (!kind) return null
  const fields = fieldsOf(kind, provider)

  return (
    <Act
      words="Create credential"
      permission={edits}
      missing={name.trim() === '' ? 'Name' : missingField(fields, typed)}
      onClose={() => {
        setName('')
        forget()
      }}
      confirm={{
        title: 'Create a credential',
        consequence: <p>Flows name it. Its secrets are sealed in the store and never shown again.</p>,
        fields: (
          <>
            <Field
              label="Name"
              value={name}
              isRequired
              hint="As flow documents write it, m365-mail for example."
              onValue={setName}
            />
            <Field
              label="Kind"
              value={kind.kind}
              options={credentialKinds.map(each => [each.kind, each.label])}
              onValue={setKindName}
            />
            <ProviderField kind={kind} provider={provider} onProvider={setProvider} />
            <SettingsFields fields={fields} typed={typed} onTyped={type} />
          </>
        ),
      }}
      act={async () => {
        const body = { kind: kind.kind, ...settingsOf(fields, typed) }
        await ask('POST', pathTo`/api/credentials/${name.trim()}`, { body })
        onChange()
        return kind.kind === 'oauth2-authorization-code' ? `${name} is there; sign in next.` : `${name} is there.`
      }}
    />
  )
}

/** The button, and the form in which its settings are changed; a secret that is left empty stays as it is. */
export function ChangeCredential({ credential, onChange }: { readonly credential: Credential; onChange(): void }) {
  const { name, settings, secrets } = credential
  const [provider, setProvider] = useState<Provider>()
  const { typed, revision, isTouched, type, forget } = useEdit(credential.revision)
  const kind = credentialKinds.find(each => each.kind === credential.kind)
  if (!kind) return null
  const chosen = provider ?? providerOf(settings)
  const fields = fieldsOf(kind, chosen)
  const all = { ...typedOf(fields, settings), ...typed }
  const isMasked = JSON.stringify(settings).includes('***')

  return (
    <Act
      words="Change"
      permission={edits}
      unless={isMasked ? 'A secret stands among its settings and is not shown; change it by command line.' : undefined}
      missing={missingField(fields, all, secrets) ?? (isTouched ? undefined : 'change')}
      onClose={() => {
        setProvider(undefined)
        forget()
      }}
      confirm={{
        title: `Change ${name}`,
        consequence: (
          <p>
            It acts at the next use, and what waits for this credential is tried again. A secret that is left empty
            stays as it is.
          </p>
        ),
        fields: (
          <>
            <ProviderField
              kind={kind}
              provider={chosen}
              onProvider={next => {
                setProvider(next)
                type(typed)
              }}
            />
            <SettingsFields fields={fields} typed={all} kept={secrets} onTyped={type} />
          </>
        ),
      }}
      act={async () => {
        const body = { kind: kind.kind, ...settingsOf(fields, all) }
        await ask('PUT', `${pathTo`/api/credentials/${name}`}?revision=${revision}`, { body })
        onChange()
        return `${name} is changed.`
      }}
    />
  )
}

function ProviderField(props: {
  readonly kind: CredentialKind
  readonly provider: Provider
  onProvider(provider: Provider): void
}) {
  if (!hasProvider(props.kind)) return null
  return (
    <Field
      label="Where tokens come from"
      value={props.provider}
      options={providers}
      onValue={value => props.onProvider(value === 'generic' ? 'generic' : 'microsoft365')}
    />
  )
}
