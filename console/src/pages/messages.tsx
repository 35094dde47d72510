import '@ui5/webcomponents-icons/dist/search.js'
import { Button, Input } from '@ui5/webcomponents-react'
import { useEffect, useState } from 'react'
import { ask, pathTo, queryOf } from '../api/client.ts'
import { hubNow } from '../api/hub-clock.ts'
import type { Flow, Message } from '../api/types.ts'
import { useAnswer, useGrowing } from '../api/use-answer.ts'
import { Choice } from '../parts/choice.tsx'
import { Nothing } from '../parts/facts.tsx'
import { Shown } from '../parts/failure.tsx'
import { messageColumns } from '../parts/message-columns.tsx'
import { Card, Page } from '../parts/page.tsx'
import { Rows, To } from '../parts/rows.tsx'
import { stateWord } from '../parts/tags.tsx'
import { navigate, usePlace } from '../route.ts'
import { numberWords } from '../words/format.ts'
import { boundsOf, ownSpan, timeSpans } from '../words/time-spans.ts'

const pageRows = 50
const messageId = /^[0-9A-Za-z]{11}$/
const isThere = () => true
const isMissing = () => false
const states = ['queued', 'set-aside', 'delivered', 'rejected', 'skipped', 'dropped'] as const

interface Found {
  readonly messages: readonly Message[]
  readonly next?: string
}

/** Messages by what either side knows of them: Message-ID, DOCNUM, queue id, business key; by flow, state and time. */
export default function Messages() {
  const { query } = usePlace()
  const flows = useAnswer<{ flows: readonly Flow[] }>('/api/flows')
  const wanted = {
    term: query.get('term') ?? '',
    flow: query.get('flow') ?? '',
    state: query.get('state') ?? '',
    within: query.get('within') ?? '',
    from: query.get('from') ?? '',
    to: query.get('to') ?? '',
    before: query.get('before') ?? '',
  }
  const [term, setTerm] = useState(wanted.term)
  useEffect(() => setTerm(wanted.term), [wanted.term])
  const choose = (change: Partial<typeof wanted>) =>
    navigate(`/messages${queryOf({ ...wanted, term: term.trim(), before: '', ...change })}`)

  /** The id of a message leads to it; anything else is looked for among the words of the messages. */
  async function find(text: string) {
    const isId = messageId.test(text) && (await ask('GET', pathTo`/api/messages/${text}`).then(isThere, isMissing))
    if (isId) navigate(`/messages/${text.toUpperCase()}`)
    else choose({ term: text })
  }

  return (
    <Page
      title="Messages"
      about="Find a message from either end; every one that was accepted is here until its retention ends."
    >
      <search>
        <form
          className="filters"
          aria-label="Find messages"
          onSubmit={event => {
            event.preventDefault()
            void find(term.trim())
          }}
        >
          <div className="filter wide-filter">
            <label htmlFor="term">Id or key</label>
            <Input
              id="term"
              value={term}
              accessibleName="Id or key"
              placeholder="Message-ID, DOCNUM, queue id, order number; its beginning with *"
              showClearIcon
              onInput={event => setTerm(event.target.value ?? '')}
            />
          </div>
          <Choice name="Flow" value={wanted.flow} all="All flows" onValue={flow => choose({ flow })}>
            {flowNames(flows.data?.flows ?? [], wanted.flow).map(name => [name, name])}
          </Choice>
          <Choice name="State" value={wanted.state} all="All states" onValue={state => choose({ state })}>
            {states.map(state => [state, stateWord(state)])}
          </Choice>
          <Choice name="Accepted" value={wanted.within} all="At any time" onValue={within => choose({ within })}>
            {[...timeSpans.map(({ key, words }) => [key, words] as const), [ownSpan, 'Between two times']]}
          </Choice>
          {wanted.within === ownSpan && (
            <>
              <Moment name="From" value={wanted.from} onValue={from => choose({ from })} />
              <Moment name="Until" value={wanted.to} onValue={to => choose({ to })} />
            </>
          )}
          <div className="filter-acts">
            <Button design="Emphasized" type="Submit" icon="search">
              Find
            </Button>
            <Button
              design="Transparent"
              onClick={() => {
                setTerm('')
                navigate('/messages')
              }}
            >
              Clear
            </Button>
          </div>
        </form>
      </search>
      {/* Other wishes, another list from its beginning. */}
      <Results key={JSON.stringify(wanted)} wanted={wanted} />
    </Page>
  )
}

type Wanted = Readonly<Record<'term' | 'flow' | 'state' | 'within' | 'from' | 'to' | 'before', string>>

function Results({ wanted }: { readonly wanted: Wanted }) {
  const { term, flow, state, before } = wanted
  const [bounds] = useState(() => boundsOf(wanted, hubNow()))
  const found = useGrowing<Found>(
    limit => `/api/messages${queryOf({ term, flow, state, ...bounds, before, limit })}`,
    pageRows,
    5_000,
  )
  const { messages = [], next } = found.data ?? {}
  const count = `${numberWords(messages.length)}${next === undefined ? '' : ' and more'}, newest first`
  return (
    <Card title="Found" aside={messages.length > 0 ? count : undefined}>
      {before !== '' && (
        <p className="body-text">
          Older than {before}. <To to={`/messages${queryOf({ ...wanted, before: '' })}`}>To the newest</To>
        </p>
      )}
      <Shown of={found}>
        {() => (
          <Rows
            name="Messages"
            columns={messageColumns}
            rows={messages}
            keyOf={message => message.id}
            toOf={message => `/messages/${message.id}`}
            none={
              <Nothing title="No message fits.">
                {term === ''
                  ? 'Choose another state, flow or time.'
                  : 'An id is found whole, or by its beginning with a star at the end.'}
              </Nothing>
            }
          />
        )}
      </Shown>
      {next !== undefined && (
        <div className="more">
          <Button
            loading={found.isGrowing}
            onClick={found.grow ?? (() => navigate(`/messages${queryOf({ ...wanted, before: next })}`))}
          >
            Show older ones
          </Button>
        </div>
      )}
    </Card>
  )
}

/** A date and a time of this place. */
function Moment(props: { readonly name: string; readonly value: string; onValue(value: string): void }) {
  const { name, value, onValue } = props
  const id = `moment-${name.toLowerCase()}`
  return (
    <div className="filter">
      <label htmlFor={id}>{name}</label>
      <input
        id={id}
        className="moment"
        type="datetime-local"
        value={value}
        onChange={event => onValue(event.target.value)}
      />
    </div>
  )
}

function flowNames(flows: readonly Flow[], chosen: string): readonly string[] {
  const names = flows.map(({ name }) => name)
  return chosen === '' || names.includes(chosen) ? names : [...names, chosen]
}
