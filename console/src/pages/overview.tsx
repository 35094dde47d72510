import { ask } from '../api/client.ts'
import type { Connector, Flow, Health, HubInfo, Organization } from '../api/types.ts'
import { useAnswer } from '../api/use-answer.ts'
import { Act, ReadOnlyNote } from '../parts/act.tsx'
import { flowColumns } from '../parts/counts.tsx'
import { Nothing } from '../parts/facts.tsx'
import { FailureStrip, Shown } from '../parts/failure.tsx'
import { Card, Page } from '../parts/page.tsx'
import { Rows, To } from '../parts/rows.tsx'
import { Pill, StateTag } from '../parts/tags.tsx'
import { useNow, When } from '../parts/when.tsx'
import { hrefOf } from '../route.ts'
import { type Attention, planAttention, troubledFirst } from '../words/attention.ts'
import { agoWords, countWords, numberWords } from '../words/format.ts'

const everyMs = 5_000
const slowMs = 30_000
const shownFlows = 10

/** What is wrong, whose turn it is and what to do next; and below it, all that runs. */
export default function Overview() {
  const health = useAnswer<Health>('/api/health', everyMs)
  const flows = useAnswer<{ flows: readonly Flow[] }>('/api/flows', everyMs)
  const connectors = useAnswer<{ connectors: readonly Connector[] }>('/api/connectors', slowMs)
  const organizations = useAnswer<{ organizations: readonly Organization[] }>('/api/organizations', slowMs)
  const hub = useAnswer<HubInfo>('/api/hub', slowMs)
  const now = useNow()
  const items = health.data && flows.data ? planAttention(health.data, flows.data.flows) : undefined
  const runsSince =
    hub.data && `Stage ${hub.data.stage}, version ${hub.data.version}, started ${agoWords(hub.data.startedAt, now)}`

  return (
    <Page
      title="Overview"
      about={runsSince ?? ' '}
      state={items && <Verdict items={items} isReady={health.data?.ready === true} />}
    >
      <FailureStrip failure={health.failure ?? flows.failure} />
      {items && items.length > 0 && (
        <Card title="What needs attention" aside={countWords(items.length, 'thing')}>
          <ReadOnlyNote permissions={['WorkspaceArtifactsDeploy']} />
          <ol className="attention-list">
            {items.map(item => (
              <AttentionItem key={item.id} item={item} onChange={health.reload} />
            ))}
          </ol>
        </Card>
      )}
      <div className="side-by-side">
        <Card title="Connectors" aside={<To to="/connectors">All connectors</To>}>
          <Shown of={connectors}>{data => <ConnectorList connectors={data.connectors} />}</Shown>
        </Card>
        <Card title="Groupware" aside={<To to="/groupware">All organizations</To>}>
          <Shown of={organizations}>{data => <OrganizationList organizations={data.organizations} />}</Shown>
        </Card>
      </div>
      <Card title="Flows" aside={<To to="/flows">{countWords(flows.data?.flows.length ?? 0, 'flow')} in all</To>}>
        <Shown of={flows}>
          {data => (
            <Rows
              name="Flows"
              columns={flowColumns}
              rows={troubledFirst(data.flows).slice(0, shownFlows)}
              keyOf={flow => flow.name}
              toOf={flow => `/flows/${encodeURIComponent(flow.name)}`}
              none={
                <Nothing title="This hub has no flows yet.">Name a folder of flow documents in isthmus.yaml.</Nothing>
              }
            />
          )}
        </Shown>
      </Card>
    </Page>
  )
}

function Verdict({ items, isReady }: { readonly items: readonly Attention[]; readonly isReady: boolean }) {
  if (!isReady) return <Pill design="Critical">The hub is starting or stopping</Pill>
  const errors = items.filter(({ severity }) => severity === 'error').length
  if (errors > 0) return <Pill design="Negative">{countWords(errors, 'thing is', 'things are')} wrong</Pill>
  if (items.length > 0) return <Pill design="Critical">{countWords(items.length, 'warning')}</Pill>
  return <Pill design="Positive">All is well</Pill>
}

function AttentionItem({ item, onChange }: { readonly item: Attention; onChange(): void }) {
  const { alert, severity, what, turn, next, to, toWords, since } = item
  return (
    <li className={`attention ${severity}`}>
      <div className="attention-words">
        <p className="what">
          <span className="only-heard">{severity === 'error' ? 'Error: ' : 'Warning: '}</span>
          {what}
        </p>
        <dl>
          <div>
            <dt>Whose turn</dt>
            <dd>{turn}</dd>
          </div>
          <div>
            <dt>Next step</dt>
            <dd>{next}</dd>
          </div>
        </dl>
        <p className="quiet attention-facts">
          {since !== undefined && (
            <span>
              Since <When time={since} />
            </span>
          )}
          {alert?.isFlapping && <span>Comes and goes</span>}
          {alert?.acknowledged && (
            <span>
              {alert.acknowledged.by.split('@')[0]} looks after it, since <When time={alert.acknowledged.at} />
            </span>
          )}
          {alert && <code>{alert.command}</code>}
        </p>
      </div>
      <div className="attention-acts">
        {to !== undefined && (
          <a className="go" href={hrefOf(to)}>
            {toWords}
          </a>
        )}
        {alert && !alert.acknowledged && (
          <Act
            words="I look after it"
            permission="WorkspaceArtifactsDeploy"
            design="Transparent"
            act={async () => {
              await ask('POST', '/api/alerts/acknowledge', { body: { id: alert.id } })
              onChange()
              return 'The others see that you look after it.'
            }}
          />
        )}
      </div>
    </li>
  )
}

function ConnectorList({ connectors }: { readonly connectors: readonly Connector[] }) {
  const shown = connectors.filter(({ state }) => state !== 'revoked')
  if (shown.length === 0)
    return <Nothing title="No connector is enrolled.">Flows reach their systems directly.</Nothing>
  return (
    <ul className="plain-list">
      {shown.map(connector => (
        <li key={connector.id}>
          <span>
            <strong>{connector.location}</strong> <span className="quiet">{connector.name}</span>
          </span>
          <span className="quiet">{countWords(connector.virtualHosts.length, 'virtual host')}</span>
          <StateTag state={connector.state} />
        </li>
      ))}
    </ul>
  )
}

function OrganizationList({ organizations }: { readonly organizations: readonly Organization[] }) {
  if (organizations.length === 0) return <Nothing title="No mailboxes are synced." />
  return (
    <ul className="plain-list">
      {organizations.map(({ name, mailboxes, isPaused, account }) => {
        const all = Object.values(mailboxes).reduce((sum, count) => sum + count, 0)
        const inError = mailboxes.error ?? 0
        const isTroubled = account.isRefused || account.trouble !== undefined
        return (
          <li key={name}>
            <To to={`/groupware/${encodeURIComponent(name)}`}>{name}</To>
            <span className="quiet">
              {numberWords(mailboxes.active ?? 0)} of {countWords(all, 'mailbox', 'mailboxes')} active
            </span>
            {inError > 0 && <Pill design="Negative">{numberWords(inError)} in error</Pill>}
            <StateTag state={isPaused ? 'paused' : isTroubled ? 'error' : 'active'} />
          </li>
        )
      })}
    </ul>
  )
}
