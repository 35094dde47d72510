import { useState } from 'react'
import { ask, pathTo } from '../api/client.ts'
import type { AccessTest, Credential, Organization, Profile } from '../api/types.ts'
import { useAnswer } from '../api/use-answer.ts'
import { useEdit } from '../api/use-edit.ts'
import { useSession } from '../session/session.ts'
import { missingField, settingsOf, type Typed, typedOf } from '../words/form.ts'
import { organizationFields } from '../words/organization-form.ts'
import { Act } from './act.tsx'
import { Field } from './field.tsx'
import { SettingsFields } from './settings-fields.tsx'

export const editsOrganizations = 'WorkspacePackagesEdit'

/** What the hub answers to saved settings: where it could test the access, how that went. */
interface Saved {
  readonly test?: AccessTest
}

/** The button, and the form in which an organization is created. */
export function CreateOrganization({ onChange }: { onChange(): void }) {
  const [name, setName] = useState('')
  const { typed, type, forget } = useEdit(0)
  const all = { access: 'ews-impersonation', profile: 'default', ...typed }
  return (
    <Act
      words="Create organization"
      permission={editsOrganizations}
      missing={name.trim() === '' ? 'Name' : missingField(organizationFields, all)}
      onClose={() => {
        setName('')
        forget()
      }}
      confirm={{
        title: 'Create an organization',
        consequence: (
          <p>
            One Exchange deployment, or one tenant of Microsoft 365, and one tenant of SAP Cloud for Customer. Nothing
            is synced before its mailboxes are activated.
          </p>
        ),
        fields: (
          <>
            <Field label="Name" value={name} isRequired onValue={setName} />
            <OrganizationFields typed={all} onTyped={type} />
          </>
        ),
      }}
      act={async () => {
        const body = settingsOf(organizationFields, all)
        const { test } = await ask<Saved>('POST', pathTo`/api/organizations/${name.trim()}`, { body })
        onChange()
        return `${name} is there${wordsOf(test)}.`
      }}
    />
  )
}

/** The button, and the form in which all settings of an organization are changed. */
export function ChangeOrganization(props: {
  readonly organization: Organization
  onChange(test: AccessTest | undefined): void
}) {
  const { name } = props.organization
  const { typed, revision, isTouched, type, forget } = useEdit(props.organization.revision)
  const all = { ...typedOf(organizationFields, props.organization), ...typed }
  return (
    <Act
      words="Change"
      permission={editsOrganizations}
      missing={missingField(organizationFields, all) ?? (isTouched ? undefined : 'change')}
      onClose={forget}
      confirm={{
        title: `Change ${name}`,
        consequence: (
          <p>
            It counts from the next round on, and the access is tested at once. What is synced stays linked, also over
            another kind of access.
          </p>
        ),
        fields: <OrganizationFields typed={all} onTyped={type} />,
      }}
      act={async () => {
        const path = `${pathTo`/api/organizations/${name}`}?revision=${revision}`
        const { test } = await ask<Saved>('PUT', path, { body: settingsOf(organizationFields, all) })
        props.onChange(test)
        return `${name} is changed${wordsOf(test)}.`
      }}
    />
  )
}

function OrganizationFields({ typed, onTyped }: { readonly typed: Typed; onTyped(typed: Typed): void }) {
  const { may } = useSession()
  const credentials = useAnswer<{ credentials: readonly Credential[] }>(
    may('CredentialsRead') ? '/api/credentials' : undefined,
  )
  const profiles = useAnswer<{ profiles: readonly Profile[] }>('/api/profiles')
  // Whoever may not see the credentials types the name.
  const names = credentials.data && ['', ...credentials.data.credentials.map(({ name }) => name)]
  return (
    <SettingsFields
      fields={organizationFields}
      typed={typed}
      choices={{
        'exchange.auth': names,
        'crm.auth': names,
        profile: profiles.data?.profiles.map(({ name }) => name),
      }}
      onTyped={onTyped}
    />
  )
}

function wordsOf(test: AccessTest | undefined): string {
  if (!test) return ''
  return test.ok ? ', and its access works' : ', but its access does not work'
}
