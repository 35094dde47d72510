import { Button, MessageStrip } from '@ui5/webcomponents-react'
import { useState } from 'react'
import { ask, queryOf } from '../api/client.ts'
import type { AuditEntry } from '../api/types.ts'
import { useGrowing } from '../api/use-answer.ts'
import { Act } from '../parts/act.tsx'
import { Nothing } from '../parts/facts.tsx'
import { Shown } from '../parts/failure.tsx'
import { Card, Page } from '../parts/page.tsx'
import { type Column, Rows, To } from '../parts/rows.tsx'
import { At } from '../parts/when.tsx'
import { navigate, usePlace } from '../route.ts'
import { useSession } from '../session/session.ts'
import { fieldsOf } from '../words/log-lines.ts'

const reads = 'AuditLogRead'
const pageEntries = 100
/** Entries are numbered without gaps. */
const firstNumber = 1

interface Entries {
  readonly entries: readonly AuditEntry[]
}

/** Who changed what, and whether anybody changed the log of it. */
export default function Audit() {
  const { may, reason } = useSession()
  const [chain, setChain] = useState<Chain>()
  return (
    <Page
      title="Audit log"
      about="Who changed what, newest first. Each entry is chained to the one before it by its hash."
      actions={<Verify onVerified={setChain} />}
    >
      <div role="status">{chain && <Verdict chain={chain} />}</div>
      {may(reads) ? (
        <EntriesCard />
      ) : (
        <Card title="Entries">
          <p className="note">{reason(reads)}</p>
        </Card>
      )}
    </Page>
  )
}

interface Chain {
  readonly ok: boolean
  readonly firstBroken?: number
}

function Verify({ onVerified }: { onVerified(chain: Chain): void }) {
  return (
    <Act
      words="Verify"
      permission={reads}
      act={async () => {
        onVerified(await ask<Chain>('POST', '/api/audit/verify'))
        return undefined
      }}
    />
  )
}

function Verdict({ chain: { ok, firstBroken } }: { readonly chain: Chain }) {
  return (
    <MessageStrip design={ok ? 'Positive' : 'Negative'} hideCloseButton>
      {ok
        ? 'The chain is whole: no entry was changed or taken out.'
        : `The chain breaks at entry ${firstBroken}: it, or one before it, is not as it was written.`}
    </MessageStrip>
  )
}

function EntriesCard() {
  const before = usePlace().query.get('before') ?? ''
  const found = useGrowing<Entries>(limit => `/api/audit${queryOf({ limit, before })}`, pageEntries, 10_000)
  const entries = found.data?.entries ?? []
  const last = entries.at(-1)?.number
  return (
    <Card title="Entries">
      {before !== '' && (
        <p className="body-text">
          Before entry {before}. <To to="/audit">To the newest</To>
        </p>
      )}
      <Shown of={found}>
        {() => (
          <Rows
            name="Audit log"
            columns={columns}
            rows={entries}
            keyOf={({ number }) => String(number)}
            none={<Nothing title="Nobody has changed anything yet." />}
          />
        )}
      </Shown>
      {last !== undefined && last > firstNumber && (
        <div className="more">
          <Button
            loading={found.isGrowing}
            onClick={found.grow ?? (() => navigate(`/audit${queryOf({ before: last })}`))}
          >
            Show older ones
          </Button>
        </div>
      )}
    </Card>
  )
}

const columns: readonly Column<AuditEntry>[] = [
  { name: 'When', width: '18rem', minWidth: '11rem', weight: 8, show: ({ at }) => <At time={at} /> },
  { name: 'Who', width: '11rem', minWidth: '8rem', weight: 9, show: ({ who }) => who },
  { name: 'Action', width: '12rem', minWidth: '10rem', weight: 10, show: ({ action }) => <code>{action}</code> },
  {
    name: 'Detail',
    minWidth: '16rem',
    weight: 7,
    show: ({ detail }) => (
      <span className="fields">
        {fieldsOf(detail).map(([name, value]) => (
          <span key={name} className="field-pair">
            <span className="quiet">{name}=</span>
            {value}
          </span>
        ))}
      </span>
    ),
  },
]
