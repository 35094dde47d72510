import { Button, Input } from '@ui5/webcomponents-react'
import { useEffect, useState } from 'react'
import { ask, pathTo, queryOf } from '../api/client.ts'
import type { Job, Mailbox, MailboxState } from '../api/types.ts'
import { useGrowing } from '../api/use-answer.ts'
import { navigate } from '../route.ts'
import { countWords, numberWords } from '../words/format.ts'
import { Act } from './act.tsx'
import { Choice } from './choice.tsx'
import { Nothing } from './facts.tsx'
import { Shown } from './failure.tsx'
import { Card } from './page.tsx'
import { type Column, Rows, To } from './rows.tsx'
import { Pill, StateTag, stateWord } from './tags.tsx'
import { When } from './when.tsx'

const pageRows = 100
/** As many as one question brings, for what is done to all that fit. */
const gatherRows = 1000
const states: readonly MailboxState[] = ['error', 'paused', 'testing', 'active', 'not-activated']
const deploys = 'WorkspaceArtifactsDeploy'

interface Page {
  readonly mailboxes: readonly Mailbox[]
  readonly next?: string
}

interface MailboxListProps {
  readonly organization: string
  /** Only those in this state; empty: all. */
  readonly state: MailboxState | ''
  readonly counts: Readonly<Record<string, number>>
  /** Something is done to many now. */
  onJob(): void
}

/** The mailboxes of an organization, some pages of a thousandfold list, and what can be done to many at once. */
export function MailboxList({ organization, state, counts, onJob }: MailboxListProps) {
  const [typed, setTyped] = useState('')
  const [contains, setContains] = useState('')
  useEffect(() => {
    const timer = setTimeout(() => setContains(typed.trim()), 300)
    return () => clearTimeout(timer)
  }, [typed])
  const all = Object.values(counts).reduce((sum, count) => sum + count, 0)
  return (
    <Card title="Mailboxes" aside={countWords(all, 'mailbox', 'mailboxes')}>
      <search className="filters">
        <div className="filter wide-filter">
          <label htmlFor="contains">Address contains</label>
          <Input
            id="contains"
            accessibleName="Address contains"
            value={typed}
            showClearIcon
            placeholder="anna, @sales.contoso.com"
            onInput={event => setTyped(event.target.value ?? '')}
          />
        </div>
        <Choice
          name="State"
          value={state}
          all="All states"
          onValue={next => navigate(`/groupware/${encodeURIComponent(organization)}${queryOf({ state: next })}`)}
        >
          {states.map(each => [each, stateWord(each)])}
        </Choice>
      </search>
      <Found key={`${state} ${contains}`} wanted={{ organization, state, contains }} all={all} onJob={onJob} />
    </Card>
  )
}

interface FoundProps {
  readonly wanted: { readonly organization: string; readonly state: string; readonly contains: string }
  readonly all: number
  onJob(): void
}

function Found({ wanted, all, onJob }: FoundProps) {
  const { organization, state, contains } = wanted
  const [after, setAfter] = useState('')
  const path = (more: { after?: string; limit: number }) => `/api/mailboxes${queryOf({ ...wanted, ...more })}`
  const found = useGrowing<Page>(limit => path({ after, limit }), pageRows, 5_000)
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set())
  const { mailboxes: rows = [], next } = found.data ?? {}

  /** Whom an action means: those that are chosen, or all that fit the filter. */
  async function meant(): Promise<'all' | readonly string[]> {
    if (chosen.size > 0) return [...chosen]
    if (state === '' && contains === '') return 'all'
    const addresses: string[] = []
    for (let behind: string | undefined = ''; behind !== undefined; ) {
      const page: Page = await ask<Page>('GET', path({ after: behind, limit: gatherRows }))
      addresses.push(...page.mailboxes.map(({ address }) => address))
      behind = page.next
    }
    return addresses
  }

  const isFiltered = state !== '' || contains !== ''
  const whom =
    chosen.size > 0
      ? `${numberWords(chosen.size)} chosen`
      : isFiltered
        ? next === undefined && after === ''
          ? `all ${numberWords(rows.length)} that fit`
          : 'all that fit'
        : `all ${countWords(all, 'mailbox', 'mailboxes')}`

  const bulk = (
    action: Job['action'],
    words: string,
    consequence: string,
    design: 'Default' | 'Emphasized' | 'Negative' = 'Default',
  ) => (
    <Act
      words={words}
      design={design}
      permission={deploys}
      unless={rows.length === 0 ? 'There is no mailbox to do it to.' : undefined}
      confirm={{
        title: `${words} ${whom}?`,
        consequence: <p>{consequence} It goes on after a restart of the hub, and you can leave this page.</p>,
      }}
      act={async () => {
        await ask('POST', pathTo`/api/organizations/${organization}/jobs`, {
          body: { action, mailboxes: await meant() },
        })
        setChosen(new Set())
        onJob()
        found.reload()
        return undefined
      }}
    />
  )

  return (
    <>
      <div className="bulk" role="toolbar" aria-label="What is done to many">
        <span className="bulk-whom">{whom}:</span>
        {bulk(
          'activate',
          'Activate',
          'Each is tested and then synced; what it finds on both sides is merged, not doubled.',
          'Emphasized',
        )}
        {bulk('pause', 'Pause', 'They are not synced until they are resumed. What changes meanwhile comes over then.')}
        {bulk('resume', 'Resume', 'Those that are paused are synced again.')}
        {bulk(
          'resync',
          'Sync anew',
          'Everything is read again from both sides and compared. Links stay, so nothing is doubled. It takes as long as a first sync.',
        )}
        {bulk(
          'deactivate',
          'Deactivate',
          'They are synced no more. What is on both sides stays there, and so do their links.',
          'Negative',
        )}
        {bulk(
          'delete',
          'Delete',
          'They are forgotten here with their links, and cannot be brought back. What is on both sides stays there.',
          'Negative',
        )}
        {rows.some(isHeld) &&
          bulk('restore-held', 'Undo deletions', 'What the brake holds back is created anew where it was deleted.')}
        {rows.some(isHeld) &&
          bulk(
            'release-brake',
            'Let deletions pass',
            'What the brake holds back is deleted on the other side too, and cannot be brought back.',
            'Negative',
          )}
      </div>
      <Shown of={found}>
        {() => (
          <Rows
            name="Mailboxes"
            columns={columns}
            rows={rows}
            keyOf={mailbox => mailbox.address}
            toOf={mailbox => `/mailboxes/${encodeURIComponent(mailbox.address)}`}
            chosen={chosen}
            onChoose={setChosen}
            none={<Nothing title={isFiltered ? 'No mailbox fits.' : 'There is no mailbox yet. Add some.'} />}
          />
        )}
      </Shown>
      {(next !== undefined || after !== '') && (
        <div className="more">
          {after !== '' && <Button onClick={() => setAfter('')}>To the first</Button>}
          {next !== undefined && (
            <Button loading={found.isGrowing} onClick={found.grow ?? (() => setAfter(next))}>
              Show more
            </Button>
          )}
          <span className="quiet">{numberWords(rows.length)} are shown</span>
        </div>
      )}
    </>
  )
}

function isHeld({ held }: Mailbox): boolean {
  return Object.values(held).some(count => count > 0)
}

const columns: readonly Column<Mailbox>[] = [
  {
    name: 'Mailbox',
    minWidth: '15rem',
    weight: 9,
    show: ({ address, crmAddress }) => (
      <div className="two-lines">
        <To to={`/mailboxes/${encodeURIComponent(address)}`}>{address}</To>
        {crmAddress !== address && <span className="quiet clip">{crmAddress} in the CRM</span>}
      </div>
    ),
  },
  { name: 'State', width: '9rem', minWidth: '8rem', weight: 8, show: mailbox => <StateTag state={mailbox.state} /> },
  {
    name: 'Cause and next step',
    minWidth: '16rem',
    weight: 7,
    show: ({ cause, held }) => {
      const heldCount = Object.values(held).reduce((sum, count) => sum + count, 0)
      if (cause) {
        return (
          <div className="two-lines">
            <span className="bad">{cause.message}</span>
            <span className="quiet">{cause.next}</span>
          </div>
        )
      }
      return heldCount > 0 ? (
        <Pill design="Critical">{countWords(heldCount, 'deletion')} wait for you</Pill>
      ) : (
        <span className="quiet">–</span>
      )
    },
  },
  {
    name: 'Last sync',
    width: '8.5rem',
    minWidth: '7rem',
    weight: 5,
    show: mailbox => <When time={mailbox.lastRoundAt} none="never" />,
  },
  {
    name: 'To CRM',
    width: '6rem',
    minWidth: '5rem',
    weight: 3,
    isNumber: true,
    show: mailbox => numberWords(mailbox.itemsIn),
  },
  {
    name: 'To mailbox',
    width: '7rem',
    minWidth: '6rem',
    weight: 2,
    isNumber: true,
    show: mailbox => numberWords(mailbox.itemsOut),
  },
  {
    name: 'Refused',
    width: '6rem',
    minWidth: '5rem',
    weight: 1,
    isNumber: true,
    show: mailbox => numberWords(mailbox.refused),
  },
]
