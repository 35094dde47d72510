import { useState } from 'react'
import { ask, pathTo } from '../api/client.ts'
import type { Instance, Role, ServiceKey } from '../api/types.ts'
import { useAnswer } from '../api/use-answer.ts'
import { Act, ReadOnlyNote } from '../parts/act.tsx'
import { Nothing } from '../parts/facts.tsx'
import { Shown } from '../parts/failure.tsx'
import { Card, Page } from '../parts/page.tsx'
import { type Column, Rows } from '../parts/rows.tsx'
import { Pill, StateTag } from '../parts/tags.tsx'
import { When } from '../parts/when.tsx'
import { useSession } from '../session/session.ts'

const reads = 'UserRolesRead'
const edits = 'UserRolesEdit'

/** Who calls this hub: service instances, their keys, and the roles that flows ask for. */
export default function ServiceUsers() {
  const { may, reason } = useSession()
  const isAllowed = may(reads)
  const instances = useAnswer<{ instances: readonly Instance[] }>(
    isAllowed ? '/api/service-instances' : undefined,
    15_000,
  )
  const roles = useAnswer<{ roles: readonly Role[] }>(isAllowed ? '/api/roles' : undefined, 15_000)
  if (!isAllowed) {
    return (
      <Page title="Service users">
        <Card title="Service users">
          <p className="note">{reason(reads)}</p>
        </Card>
      </Page>
    )
  }
  return (
    <Page
      title="Service users"
      about="Programs that call this hub, the keys they prove it with, and the roles that flows ask for."
    >
      <ReadOnlyNote permissions={[edits]} />
      <Shown of={instances}>
        {data =>
          data.instances.length === 0 ? (
            <Card title="Service instances">
              <Nothing title="There is no service instance yet.">
                Create one with <code>isthmus instance create</code>.
              </Nothing>
            </Card>
          ) : (
            data.instances.map(instance => (
              <InstanceCard key={instance.id} instance={instance} onChange={instances.reload} />
            ))
          )
        }
      </Shown>
      <Card title="Roles">
        <Shown of={roles}>
          {data => (
            <Rows
              name="Roles"
              columns={roleColumns}
              rows={data.roles}
              keyOf={role => role.name}
              none={<Nothing title="There are no roles." />}
            />
          )}
        </Shown>
      </Card>
    </Page>
  )
}

function InstanceCard({ instance, onChange }: { readonly instance: Instance; onChange(): void }) {
  const { id, name, space, plan, clientId, effectiveRoles, parameters, disabledAt, revision } = instance
  const [turn, setTurn] = useState(0)
  const keys = useAnswer<{ keys: readonly ServiceKey[] }>(
    `${pathTo`/api/service-instances/${id}/keys`}#${turn}`,
    30_000,
  )
  const isOff = disabledAt !== undefined
  const missing = parameters.roles.filter(role => !effectiveRoles.includes(role))
  return (
    <Card title={name} aside={isOff ? <Pill design="Critical">Disabled</Pill> : <Pill design="Positive">Enabled</Pill>}>
      <dl className="facts">
        <div>
          <dt>Plan</dt>
          <dd>
            {plan} in space {space}
          </dd>
        </div>
        <div>
          <dt>Client id</dt>
          <dd>
            <code className="break">{clientId}</code>
          </dd>
        </div>
        <div>
          <dt>Roles</dt>
          <dd>
            {effectiveRoles.join(', ') || 'none'}
            {missing.length > 0 && <span className="bad"> (not there: {missing.join(', ')})</span>}
          </dd>
        </div>
        <div>
          <dt>Ways in</dt>
          <dd>{parameters['grant-types'].join(', ')}</dd>
        </div>
      </dl>
      <Shown of={keys}>
        {data => (
          <Rows
            name={`Keys of ${name}`}
            columns={keyColumns(key => (
              <Act
                words="Revoke"
                design="Transparent"
                permission={edits}
                unless={key.state === 'expired' || key.state === 'revoked' ? 'It counts no more already.' : undefined}
                confirm={{
                  title: `Revoke key ${key.name}?`,
                  consequence: (
                    <p>
                      Its secret, its certificate and all tokens got with it count no more{' '}
                      <strong>from the next call on</strong>. It cannot be undone; whoever uses it needs another key.
                    </p>
                  ),
                }}
                act={async () => {
                  await ask('DELETE', pathTo`/api/service-keys/${key.id}`)
                  setTurn(before => before + 1)
                  return `Key ${key.name} is revoked.`
                }}
              />
            ))}
            rows={data.keys}
            keyOf={key => key.id}
            none={<Nothing title="It has no key: nobody can call with it." />}
          />
        )}
      </Shown>
      <div className="card-acts">
        <Act
          words={isOff ? 'Enable' : 'Disable'}
          permission={edits}
          confirm={{
            title: isOff ? `Enable ${name}?` : `Disable ${name}?`,
            consequence: isOff ? (
              <p>Its callers are let in again from the next call on.</p>
            ) : (
              <p>
                None of its callers is let in from the next call on, whatever key or token they have. It can be undone.
              </p>
            ),
          }}
          act={async () => {
            await ask('PATCH', pathTo`/api/service-instances/${id}`, { body: { disabled: !isOff, revision } })
            onChange()
            return isOff ? `${name} is enabled.` : `${name} is disabled.`
          }}
        />
      </div>
    </Card>
  )
}

function keyColumns(actOf: (key: ServiceKey) => React.ReactNode): readonly Column<ServiceKey>[] {
  return [
    { name: 'Key', minWidth: '10rem', weight: 9, show: key => key.name },
    { name: 'State', width: '8rem', minWidth: '7rem', weight: 8, show: key => <StateTag state={key.state} /> },
    { name: 'Kind', width: '10rem', minWidth: '8rem', weight: 3, show: key => key.kind.replaceAll('_', ', ') },
    {
      name: 'Ends',
      width: '9rem',
      minWidth: '7rem',
      weight: 6,
      show: key => <When time={key.expiresAt} none="never" />,
    },
    {
      name: 'Last used',
      width: '12rem',
      minWidth: '9rem',
      weight: 5,
      show: ({ lastUse }) =>
        lastUse ? (
          <div className="two-lines">
            <When time={lastUse.at} />
            <span className="quiet">from {lastUse.address}</span>
          </div>
        ) : (
          <span className="quiet">never</span>
        ),
    },
    { name: 'Action', width: '8rem', minWidth: '7rem', weight: 4, show: actOf },
  ]
}

const roleColumns: readonly Column<Role>[] = [
  { name: 'Role', minWidth: '12rem', weight: 9, show: role => role.name },
  { name: 'What it is for', minWidth: '14rem', weight: 6, show: role => role.about || '–' },
  { name: 'Plan', width: '9rem', minWidth: '8rem', weight: 3, show: role => role.plan },
  {
    name: 'Who has it',
    minWidth: '12rem',
    weight: 8,
    show: role => (role.instances.length > 0 ? role.instances.join(', ') : <span className="quiet">nobody</span>),
  },
]
