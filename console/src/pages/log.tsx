import { Button, Input } from '@ui5/webcomponents-react'
import { useEffect, useRef, useState } from 'react'
import { ask, queryOf, refusalOf } from '../api/client.ts'
import { hubNow } from '../api/hub-clock.ts'
import type { Flow, LogLine } from '../api/types.ts'
import { useAnswer } from '../api/use-answer.ts'
import { Choice } from '../parts/choice.tsx'
import { Nothing } from '../parts/facts.tsx'
import { Card, Page } from '../parts/page.tsx'
import { To } from '../parts/rows.tsx'
import { navigate, usePlace } from '../route.ts'
import { useSession } from '../session/session.ts'
import { readJson } from '../words/directions.ts'
import { clockWords, timeWords } from '../words/format.ts'
import { fieldsOf, keepNewest } from '../words/log-lines.ts'

const againMs = 5_000

const levels = [
  ['error', 'Errors only'],
  ['warn', 'Warnings and errors'],
  ['debug', 'Everything'],
] as const

/** The log as it is written, newest first. */
export default function Log() {
  const { query } = usePlace()
  const flow = query.get('flow') ?? ''
  const level = query.get('level') ?? ''
  const flows = useAnswer<{ flows: readonly Flow[] }>('/api/flows')
  const [isPaused, setPaused] = useState(false)
  const [contains, setContains] = useState('')
  const choose = (change: { flow?: string; level?: string }) =>
    navigate(`/log${queryOf({ flow, level, ...change })}`, 'replace')
  return (
    <Page
      title="Log"
      about="What happens in the hub, as it happens. Bodies and secrets are never in it."
      actions={<Button onClick={() => setPaused(!isPaused)}>{isPaused ? 'Go on' : 'Hold still'}</Button>}
    >
      <search className="filters">
        <div className="filter wide-filter">
          <label htmlFor="log-contains">Line contains</label>
          <Input
            id="log-contains"
            accessibleName="Line contains"
            value={contains}
            showClearIcon
            onInput={event => setContains(event.target.value ?? '')}
          />
        </div>
        <Choice name="Flow" value={flow} all="Everything" onValue={next => choose({ flow: next })}>
          {(flows.data?.flows ?? []).map(({ name }) => [name, name])}
        </Choice>
        <Choice name="Level" value={level} all="What matters" onValue={next => choose({ level: next })}>
          {levels}
        </Choice>
      </search>
      <Lines key={`${flow} ${level}`} flow={flow} level={level} contains={contains} isPaused={isPaused} />
    </Page>
  )
}

interface LinesProps {
  readonly flow: string
  readonly level: string
  readonly contains: string
  readonly isPaused: boolean
}

function Lines({ flow, level, contains, isPaused }: LinesProps) {
  const [lines, setLines] = useState<readonly (LogLine & { readonly key: number })[]>([])
  const [isOpen, setOpen] = useState<boolean>()
  const [turn, setTurn] = useState(0)
  const count = useRef(0)
  const { csrfToken } = useSession().session

  // biome-ignore lint/correctness/useExhaustiveDependencies: the session of before is refused
  useEffect(() => {
    if (isPaused) return
    const add = (line: LogLine) => {
      count.current++
      const key = count.current
      setLines(before => keepNewest({ ...line, key }, before))
    }
    let again: ReturnType<typeof setTimeout> | undefined
    let isLeft = false
    const source = new EventSource(`/api/log${queryOf({ follow: 'true', limit: 200, flow, level })}`)
    source.addEventListener('open', () => {
      setOpen(true)
      // After a break the newest lines come once more.
      setLines([])
    })
    source.addEventListener('error', () => {
      setOpen(false)
      // A browser tries again by itself, but not after a refusal. Where the session is over, the next one goes on.
      if (source.readyState === EventSource.CLOSED) void tryAgain()
    })
    source.addEventListener('line', event => {
      add(readJson(String(event.data)) as LogLine)
    })
    // More came than this browser could read.
    source.addEventListener('lost', event => {
      const at = new Date(hubNow()).toISOString()
      add({ at, level: 'warn', event: 'console.lines-missed', fields: readJson(String(event.data)) })
    })
    const tryAgain = async () => {
      const isOver = await ask('GET', '/api/session').then(
        () => false,
        (thrown: unknown) => refusalOf(thrown).status === 401,
      )
      if (!isOver && !isLeft) again = setTimeout(() => setTurn(turn + 1), againMs)
    }
    return () => {
      isLeft = true
      clearTimeout(again)
      source.close()
    }
  }, [flow, level, turn, isPaused, csrfToken])

  const wanted = contains.trim().toLowerCase()
  const shown = wanted === '' ? lines : lines.filter(line => textOf(line).includes(wanted))
  return (
    <Card
      title="Lines"
      aside={
        isPaused
          ? 'held still; the newest lines come when it goes on'
          : isOpen === false
            ? 'the hub does not answer; it is tried again'
            : 'live'
      }
    >
      {shown.length === 0 ? (
        <Nothing title="No line yet." />
      ) : (
        <ol className="log" aria-label="Log lines, newest first">
          {shown.map(line => (
            <li key={line.key} className={`log-line ${line.level}`}>
              <time dateTime={line.at} title={timeWords(line.at)}>
                {clockWords(line.at)}
              </time>
              <span className="level">{line.level}</span>
              <span className="event">{line.event}</span>
              <span className="fields">
                {fieldsOf(line.fields).map(([name, value]) => (
                  <span key={name} className="field-pair">
                    <span className="quiet">{name}=</span>
                    {name === 'delivery' ? <To to={`/messages/${encodeURIComponent(value)}`}>{value}</To> : value}
                  </span>
                ))}
              </span>
            </li>
          ))}
        </ol>
      )}
    </Card>
  )
}

function textOf(line: LogLine): string {
  return `${line.event} ${fieldsOf(line.fields)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')}`.toLowerCase()
}
