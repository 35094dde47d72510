import { type ReactNode, useState } from 'react'
import { ask, pathTo } from '../api/client.ts'
import type { Credential } from '../api/types.ts'
import {
  type CredentialKind,
  credentialKinds,
  fieldsOf,
  hasProvider,
  missingField,
  type Provider,
  providerOf,
  providers,
  settingsOf,
  type Typed,
  typedOf,
} from '../words/credential-form.ts'
import { Act } from './act.tsx'
import { FormField } from './form-field.tsx'

const edits = 'CredentialsEdit'
const [usual] = credentialKinds

/** The button, and the form in which a credential of any kind is created. */
export function CreateCredential({ onChange }: { onChange(): void }) {
  const [name, setName] = useState('')
  const [kindName, setKindName] = useState(usual?.kind ?? '')
  const [provider, setProvider] = useState<Provider>('microsoft365')
  const [typed, setTyped] = useState<Typed>({})
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
        setTyped({})
      }}
      confirm={{
        title: 'Create a credential',
        consequence: <p>Flows name it. Its secrets are sealed in the store and never shown again.</p>,
        fields: (
          <>
            <FormField
              label="Name"
              value={name}
              isRequired
              hint="As flow documents write it, m365-mail for example."
              onValue={setName}
            />
            <FormField
              label="Kind"
              value={kind.kind}
              options={credentialKinds.map(each => [each.kind, each.label])}
              onValue={setKindName}
            />
            <Settings kind={kind} provider={provider} typed={typed} onProvider={setProvider} onTyped={setTyped} />
          </>
        ),
      }}
      act={async () => {
        await ask('POST', pathTo`/api/credentials/${name.trim()}`, { body: settingsOf(kind.kind, fields, typed) })
        onChange()
        return kind.kind === 'oauth2-authorization-code' ? `${name} is there; sign in next.` : `${name} is there.`
      }}
    />
  )
}

/** The button, and the form in which its settings are changed; a secret that is left empty stays as it is. */
export function ChangeCredential({ credential, onChange }: { readonly credential: Credential; onChange(): void }) {
  const { name, settings, secrets, revision } = credential
  const [provider, setProvider] = useState<Provider>()
  const [typed, setTyped] = useState<Typed>({})
  /** That of when the form was opened: a change by others meanwhile is not overwritten. */
  const [revisionSeen, setRevisionSeen] = useState<number>()
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
      unless={
        isMasked ? 'One of its settings holds a secret, which is not shown; change it by command line.' : undefined
      }
      missing={missingField(fields, all, secrets) ?? (provider === undefined && isSame(typed) ? 'change' : undefined)}
      onClose={() => {
        setProvider(undefined)
        setTyped({})
        setRevisionSeen(undefined)
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
          <Settings
            kind={kind}
            provider={chosen}
            typed={all}
            kept={secrets}
            onProvider={next => {
              setRevisionSeen(before => before ?? revision)
              setProvider(next)
            }}
            onTyped={next => {
              setRevisionSeen(before => before ?? revision)
              setTyped(next)
            }}
          />
        ),
      }}
      act={async () => {
        const path = `${pathTo`/api/credentials/${name}`}?revision=${revisionSeen ?? revision}`
        await ask('PUT', path, { body: settingsOf(kind.kind, fields, all) })
        onChange()
        return `${name} is changed.`
      }}
    />
  )
}

function isSame(typed: Typed): boolean {
  return Object.keys(typed).length === 0
}

interface SettingsProps {
  readonly kind: CredentialKind
  readonly provider: Provider
  readonly typed: Typed
  /** Secrets that the hub keeps. */
  readonly kept?: readonly string[]
  onProvider(provider: Provider): void
  onTyped(typed: Typed): void
}

function Settings({ kind, provider, typed, kept = [], onProvider, onTyped }: SettingsProps) {
  const fields = fieldsOf(kind, provider)
  const shown = (isSeldom: boolean): ReactNode =>
    fields
      .filter(field => (field.isSeldom ?? false) === isSeldom)
      .map(({ path, label, hint, type, isSecret, isRequired, options }) => (
        <FormField
          key={path}
          label={label}
          value={typed[path] ?? ''}
          hint={kept.includes(path) ? 'One is kept; leave this empty to keep it.' : hint}
          isText={type === 'text' || type === 'pairs'}
          isSecret={isSecret}
          isRequired={isRequired && !kept.includes(path)}
          options={options?.map(each => [each, each])}
          onValue={value => onTyped({ ...typed, [path]: value })}
        />
      ))
  return (
    <>
      {hasProvider(kind) && (
        <FormField
          label="Where tokens come from"
          value={provider}
          options={providers}
          onValue={value => onProvider(value === 'generic' ? 'generic' : 'microsoft365')}
        />
      )}
      {shown(false)}
      {fields.some(({ isSeldom }) => isSeldom) && (
        <details className="more-fields">
          <summary>More settings</summary>
          {shown(true)}
        </details>
      )}
    </>
  )
}
