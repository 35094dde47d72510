import { useState } from 'react'
import { ask, pathTo } from '../api/client.ts'
import type { Connector, PathCheck, VirtualHost } from '../api/types.ts'
import { useAnswer } from '../api/use-answer.ts'
import { Act, ReadOnlyNote } from '../parts/act.tsx'
import { Facts, Nothing } from '../parts/facts.tsx'
import { FailureStrip, Shown } from '../parts/failure.tsx'
import { Card, Page } from '../parts/page.tsx'
import { type Column, Rows } from '../parts/rows.tsx'
import { StateTag } from '../parts/tags.tsx'
import { At, When } from '../parts/when.tsx'
import { bytesWords, countWords, numberWords } from '../words/format.ts'

const deploys = 'WorkspaceArtifactsDeploy'

/** On-premise connectors: whether they are connected, and how the systems behind them are. */
export default function Connectors() {
  const connectors = useAnswer<{ connectors: readonly Connector[] }>('/api/connectors', 5_000)
  const [checks, setChecks] = useState<Readonly<Record<string, PathCheck>>>({})
  return (
    <Page title="Connectors" about="Agents on premise that dial out to this hub, and let it reach what they list.">
      <ReadOnlyNote permissions={[deploys]} />
      <Shown of={connectors}>
        {data => {
          if (data.connectors.length === 0) {
            return (
              <Card title="Connectors">
                <Nothing title="No connector is enrolled.">
                  Make a token with <code>isthmus connector enrol LOCATION</code> and start{' '}
                  <code>isthmus-connector</code> over there.
                </Nothing>
              </Card>
            )
          }
          const locations = [...new Set(data.connectors.map(({ location }) => location))].toSorted()
          return locations.map(location => (
            <section key={location} className="location">
              <div className="location-head">
                <h2>{location}</h2>
                <Act
                  words="Check the way"
                  permission={deploys}
                  act={async () => {
                    const check = await ask<PathCheck>('POST', pathTo`/api/locations/${location}/check`, { body: {} })
                    setChecks(before => ({ ...before, [location]: check }))
                    return undefined
                  }}
                />
              </div>
              <CheckSteps check={checks[location]} />
              {data.connectors
                .filter(connector => connector.location === location)
                .map(connector => (
                  <ConnectorCard key={connector.id} connector={connector} />
                ))}
            </section>
          ))
        }}
      </Shown>
    </Page>
  )
}

function CheckSteps({ check }: { readonly check: PathCheck | undefined }) {
  if (!check) return null
  return (
    <Card title={check.ok ? 'The way is open' : 'The way is not open'} className={check.ok ? '' : 'wrong'}>
      <ul className="plain-list tall" aria-live="polite">
        {check.steps.map(({ ok, what, next }) => (
          <li key={what} className="link-row">
            <div className="link-head">
              <span>{what}</span>
              <StateTag state={ok ? 'ok' : 'failed'} />
            </div>
            {next !== undefined && <p className="quiet">Next: {next}</p>}
          </li>
        ))}
      </ul>
    </Card>
  )
}

function ConnectorCard({ connector }: { readonly connector: Connector }) {
  const { id, name, state, version, mode, connectedAt, lastSeenAt, certificateEndsAt, openStreams, tunnels, revoked } =
    connector
  const hosts = useAnswer<{ virtualHosts: readonly VirtualHost[] }>(
    state === 'connected' ? pathTo`/api/connectors/${id}/virtual-hosts` : undefined,
    5_000,
  )
  const sent = tunnels.reduce((sum, tunnel) => sum + tunnel.sentBytes, 0)
  const received = tunnels.reduce((sum, tunnel) => sum + tunnel.receivedBytes, 0)
  return (
    <Card title={name} aside={<StateTag state={state} />} className={state === 'away' ? 'wrong' : ''}>
      <Facts
        of={[
          ['Id', <code key="id">{id}</code>],
          ['Version', version && `${version}${mode === 'shadow' ? ', in the shadow' : ''}`],
          ['Connected since', connectedAt && <At key="since" time={connectedAt} />],
          ['Last seen', state === 'away' ? <At key="seen" time={lastSeenAt} none="never" /> : undefined],
          [
            'Tunnels',
            state === 'connected'
              ? `${countWords(tunnels.length, 'tunnel')}, ${countWords(openStreams, 'open stream')}`
              : undefined,
          ],
          ['Carried', state === 'connected' ? `${bytesWords(sent)} out, ${bytesWords(received)} in` : undefined],
          ['Certificate ends', <At key="ends" time={certificateEndsAt} />],
          ['Revoked', revoked && `${revoked.reason} (${revoked.by})`],
        ]}
      />
      {state === 'connected' && (
        <>
          <FailureStrip failure={hosts.failure} />
          {hosts.data && (
            <Rows
              name={`Virtual hosts of ${name}`}
              columns={columns}
              rows={hosts.data.virtualHosts.flatMap(host => host.targets.map(target => ({ host, target })))}
              keyOf={({ host, target }) => `${host.address} ${target.address}`}
              none={<Nothing title="Its allow-list is empty." />}
            />
          )}
        </>
      )}
    </Card>
  )
}

interface Target {
  readonly host: VirtualHost
  readonly target: VirtualHost['targets'][number]
}

const columns: readonly Column<Target>[] = [
  {
    name: 'Virtual host',
    minWidth: '14rem',
    weight: 9,
    show: ({ host }) => (
      <div className="two-lines">
        <span>{host.address}</span>
        <span className="quiet">{host.protocol}</span>
      </div>
    ),
  },
  { name: 'Target', minWidth: '11rem', weight: 7, show: ({ target }) => target.address },
  {
    name: 'State',
    width: '12rem',
    minWidth: '9rem',
    weight: 8,
    show: ({ target }) => (
      <div className="two-lines">
        <StateTag state={target.state} />
        {target.reason !== undefined && <span className="quiet">{target.reason}</span>}
      </div>
    ),
  },
  {
    name: 'Open',
    width: '6rem',
    minWidth: '5rem',
    weight: 3,
    isNumber: true,
    show: ({ target }) => `${target.open} / ${target.openMax}`,
  },
  {
    name: 'Answers in',
    width: '7rem',
    minWidth: '6rem',
    weight: 4,
    isNumber: true,
    show: ({ target }) => (target.responseMs === undefined ? '–' : `${Math.round(target.responseMs)} ms`),
  },
  {
    name: 'Opened',
    width: '6rem',
    minWidth: '5rem',
    weight: 2,
    isNumber: true,
    show: ({ target }) => numberWords(target.opened),
  },
  {
    name: 'Failed',
    width: '6rem',
    minWidth: '5rem',
    weight: 5,
    isNumber: true,
    show: ({ target }) => <span className={target.failed > 0 ? 'bad' : ''}>{numberWords(target.failed)}</span>,
  },
  {
    name: 'Last probe',
    minWidth: '12rem',
    weight: 1,
    show: ({ target }) => (
      <div className="two-lines">
        <span className="clip">{target.lastProbe ?? '–'}</span>
        {target.lastProbeAt !== undefined && (
          <span className="quiet">
            <When time={new Date(target.lastProbeAt).toISOString()} />
          </span>
        )}
      </div>
    ),
  },
]
