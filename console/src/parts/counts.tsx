import type { Counts, Flow } from '../api/types.ts'
import { hrefOf } from '../route.ts'
import { numberWords } from '../words/format.ts'
import { Figure } from './facts.tsx'
import { type Column, To } from './rows.tsx'
import { StateTag } from './tags.tsx'
import { When } from './when.tsx'

const listOf = (flow: string, state: string) => `/messages?flow=${encodeURIComponent(flow)}&state=${state}`

/** The columns in which flows are listed, on the overview and on their own page. */
export const flowColumns: readonly Column<Flow>[] = [
  {
    name: 'Flow',
    minWidth: '14rem',
    weight: 9,
    show: flow => (
      <div className="two-lines">
        <To to={`/flows/${encodeURIComponent(flow.name)}`}>{flow.name}</To>
        {flow.about !== undefined && flow.about !== '' && <span className="quiet clip">{flow.about}</span>}
      </div>
    ),
  },
  { name: 'State', width: '9rem', minWidth: '8rem', weight: 8, show: flow => <FlowState flow={flow} /> },
  {
    name: 'Accepted',
    width: '7rem',
    minWidth: '6rem',
    isNumber: true,
    weight: 3,
    show: flow => numberWords(flow.counts.accepted),
  },
  {
    name: 'Delivered',
    width: '7rem',
    minWidth: '6rem',
    isNumber: true,
    weight: 4,
    show: flow => numberWords(flow.counts.delivered),
  },
  {
    name: 'Waiting',
    width: '7rem',
    minWidth: '6rem',
    isNumber: true,
    weight: 5,
    show: flow => <CountLink flow={flow.name} state="queued" count={flow.counts.queued} />,
  },
  {
    name: 'Set aside',
    width: '7rem',
    minWidth: '6rem',
    isNumber: true,
    weight: 7,
    show: flow => <CountLink flow={flow.name} state="set-aside" count={flow.counts.setAside} isBad />,
  },
  {
    name: 'Oldest waits',
    width: '9rem',
    minWidth: '8rem',
    weight: 2,
    show: flow => <When time={flow.counts.oldestQueuedAt} none="nothing waits" />,
  },
  {
    name: 'Last accepted',
    width: '9rem',
    minWidth: '8rem',
    weight: 1,
    show: flow => <When time={flow.counts.lastAcceptedAt} none="never" />,
  },
]

/** What state a flow is in; a link that is down, or a document with mistakes, tells more than `running`. */
export function FlowState({ flow }: { readonly flow: Pick<Flow, 'state' | 'links' | 'problems' | 'shouldRun'> }) {
  const isDown = flow.links.some(link => link.state === 'down')
  if (flow.state === 'running' && isDown) return <StateTag state="down" />
  return <StateTag state={flow.problems.length > 0 && flow.state === 'stopped' ? 'error' : flow.state} />
}

/** Figures of one flow, each leading to its messages. */
export function FlowFigures({ flow, counts }: { readonly flow: string; readonly counts: Counts }) {
  const { accepted, delivered, queued, setAside, rejected, skipped, dropped } = counts
  const href = (state: string) => hrefOf(listOf(flow, state))
  return (
    <div className="figures">
      <Figure
        value={numberWords(accepted)}
        name="accepted"
        href={hrefOf(`/messages?flow=${encodeURIComponent(flow)}`)}
      />
      <Figure value={numberWords(delivered)} name="delivered" href={href('delivered')} />
      <Figure value={numberWords(queued)} name="waiting" href={href('queued')} />
      <Figure
        value={numberWords(setAside)}
        name="set aside"
        tone={setAside > 0 ? 'bad' : undefined}
        href={href('set-aside')}
      />
      <Figure value={numberWords(rejected)} name="rejected" href={href('rejected')} />
      <Figure value={numberWords(skipped)} name="skipped" href={href('skipped')} />
      <Figure value={numberWords(dropped)} name="dropped" href={href('dropped')} />
    </div>
  )
}

function CountLink(props: {
  readonly flow: string
  readonly state: string
  readonly count: number
  readonly isBad?: boolean
}) {
  const { flow, state, count, isBad = false } = props
  if (count === 0) return <span className="quiet">0</span>
  return (
    <a className={isBad ? 'link bad' : 'link'} href={hrefOf(listOf(flow, state))}>
      {numberWords(count)}
    </a>
  )
}
