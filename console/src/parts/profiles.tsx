import { useState } from 'react'
import { ask, pathTo } from '../api/client.ts'
import type { Profile } from '../api/types.ts'
import { useAnswer } from '../api/use-answer.ts'
import { useEdit } from '../api/use-edit.ts'
import { settingsOf, typedOf } from '../words/form.ts'
import { profileFields } from '../words/organization-form.ts'
import { Act } from './act.tsx'
import { Code } from './code.tsx'
import { Shown } from './failure.tsx'
import { Field } from './field.tsx'
import { editsOrganizations } from './organization-editor.tsx'
import { Card } from './page.tsx'
import { SettingsFields } from './settings-fields.tsx'

const usual = 'as usual'

/** The rules that mailboxes are synced by: each profile with what it sets, and the forms that change it. */
export function Profiles() {
  const profiles = useAnswer<{ profiles: readonly Profile[] }>('/api/profiles', 10_000)
  return (
    <Card title="Profiles" aside={<CreateProfile onChange={profiles.reload} />}>
      <Shown of={profiles}>
        {data => (
          <ul className="plain-list tall">
            {data.profiles.map(profile => (
              <ProfileRow key={profile.name} profile={profile} onChange={profiles.reload} />
            ))}
          </ul>
        )}
      </Shown>
    </Card>
  )
}

function ProfileRow({ profile, onChange }: { readonly profile: Profile; onChange(): void }) {
  const { name, about, effective } = profile
  const { typed, revision, isTouched, type, forget } = useEdit(profile.revision)
  const all = { ...typedOf(profileFields, profile), ...typed }
  const path = pathTo`/api/profiles/${name}`
  return (
    <li className="link-row" aria-label={name}>
      <div className="link-head">
        <strong>{name}</strong>
        <span className="row-acts">
          <Act
            words="Change"
            permission={editsOrganizations}
            missing={isTouched ? undefined : 'change'}
            onClose={forget}
            confirm={{
              title: `Change ${name}`,
              consequence: <Consequence />,
              fields: <SettingsFields fields={profileFields} typed={all} unset={usual} onTyped={type} />,
            }}
            act={async () => {
              await ask('PUT', `${path}?revision=${revision}`, { body: settingsOf(profileFields, all) })
              onChange()
              return `${name} is changed.`
            }}
          />
          <Act
            words="Delete"
            design="Transparent"
            permission={editsOrganizations}
            confirm={{ title: `Delete ${name}?`, consequence: <p>No organization may use it.</p> }}
            act={async () => {
              await ask('DELETE', path)
              onChange()
              return `${name} is deleted.`
            }}
          />
        </span>
      </div>
      {about !== '' && <p className="quiet">{about}</p>}
      <details className="inside">
        <summary>Rules that count</summary>
        <Code label={`Rules of ${name}`} text={JSON.stringify(effective, undefined, 2)} />
      </details>
    </li>
  )
}

function CreateProfile({ onChange }: { onChange(): void }) {
  const [name, setName] = useState('')
  const { typed, type, forget } = useEdit(0)
  return (
    <Act
      words="Create profile"
      permission={editsOrganizations}
      missing={name.trim() === '' ? 'Name' : undefined}
      onClose={() => {
        setName('')
        forget()
      }}
      confirm={{
        title: 'Create a profile',
        consequence: <Consequence />,
        fields: (
          <>
            <Field label="Name" value={name} isRequired onValue={setName} />
            <SettingsFields fields={profileFields} typed={typed} unset={usual} onTyped={type} />
          </>
        ),
      }}
      act={async () => {
        await ask('PUT', `${pathTo`/api/profiles/${name.trim()}`}?revision=0`, {
          body: settingsOf(profileFields, typed),
        })
        onChange()
        return `${name} is there; organizations can name it.`
      }}
    />
  )
}

function Consequence() {
  return <p>It counts from the next round on. What is left empty is as usual.</p>
}
