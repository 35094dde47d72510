import { Button, Input } from '@ui5/webcomponents-react'
import { useState } from 'react'
import { ask, pathTo, queryOf, type Refusal, refusalOf } from '../api/client.ts'
import type { Explanation, Job, JournalLine, MailboxDetail, Preview } from '../api/types.ts'
import { useAnswer, useGrowing } from '../api/use-answer.ts'
import { Act, ReadOnlyNote } from '../parts/act.tsx'
import { Code } from '../parts/code.tsx'
import { Facts, Figure, Nothing } from '../parts/facts.tsx'
import { ErrorWords, FailureStrip, Shown } from '../parts/failure.tsx'
import { HeldDeletions } from '../parts/held-deletions.tsx'
import { JournalLines } from '../parts/journal.tsx'
import { Card, Page } from '../parts/page.tsx'
import { To } from '../parts/rows.tsx'
import { StateTag } from '../parts/tags.tsx'
import { At } from '../parts/when.tsx'
import { useSession } from '../session/session.ts'
import type { PageProps } from '../shell.tsx'
import { numberWords } from '../words/format.ts'

const deploys = 'WorkspaceArtifactsDeploy'
const reads = 'MessagePayloadsRead'
const journalRows = 100

/** One mailbox: how its sync goes, why not, what it did to which item, and what can be done. */
export default function MailboxPage({ name: address }: PageProps) {
  const mailbox = useAnswer<MailboxDetail>(pathTo`/api/mailboxes/${address}`, 5_000)
  const { data } = mailbox
  const [preview, setPreview] = useState<Preview>()
  const heldCount = Object.values(data?.held ?? {}).reduce((sum, count) => sum + count, 0)

  /** What is done to many is done to one as well. */
  const job = (
    action: Job['action'],
    words: string,
    consequence: string,
    design: 'Default' | 'Emphasized' | 'Negative' = 'Default',
  ) =>
    data && (
      <Act
        words={words}
        design={design}
        permission={deploys}
        confirm={{ title: `${words} ${address}?`, consequence: <p>{consequence}</p> }}
        act={async () => {
          await ask('POST', pathTo`/api/organizations/${data.organization}/jobs`, {
            body: { action, mailboxes: [address] },
          })
          mailbox.reload()
          return 'It is under way.'
        }}
      />
    )

  return (
    <Page
      title={address}
      above={
        data ? [`/groupware/${encodeURIComponent(data.organization)}`, data.organization] : ['/groupware', 'Groupware']
      }
      about={data && data.crmAddress !== address ? `${data.crmAddress} in the CRM` : undefined}
      state={data && <StateTag state={data.state} />}
      actions={
        data && (
          <>
            {data.state === 'not-activated' || data.state === 'error'
              ? job(
                  'activate',
                  'Activate',
                  'It is tested and then synced; what is found on both sides is merged, not doubled.',
                  'Emphasized',
                )
              : null}
            {data.state === 'paused' ? job('resume', 'Resume', 'It is synced again.', 'Emphasized') : null}
            {data.state === 'active' && (
              <Act
                words="Sync now"
                design="Emphasized"
                permission={deploys}
                act={async () => {
                  await ask('POST', pathTo`/api/mailboxes/${address}/sync`)
                  mailbox.reload()
                  return 'It is looked at now.'
                }}
              />
            )}
            {data.state === 'active' &&
              job('pause', 'Pause', 'It is not synced until it is resumed. What changes meanwhile comes over then.')}
            {data.state !== 'not-activated' &&
              job(
                'resync',
                'Sync anew',
                'Everything is read again from both sides and compared. Links stay, so nothing is doubled.',
              )}
            <Act
              words="Preview"
              permission={reads}
              act={async () => {
                setPreview(await ask<Preview>('POST', pathTo`/api/mailboxes/${address}/preview`))
                return undefined
              }}
            />
            {data.state !== 'not-activated' &&
              job(
                'deactivate',
                'Deactivate',
                'It is synced no more. What is on both sides stays there, and so do its links.',
                'Negative',
              )}
          </>
        )
      }
    >
      <ReadOnlyNote permissions={[deploys, reads]} />
      <Shown of={mailbox}>
        {shown => (
          <>
            {shown.cause && (
              <Card title="What is wrong" className="wrong">
                <ErrorWords what={shown.cause.message} error={shown.cause} />
              </Card>
            )}
            {heldCount > 0 && <HeldDeletions address={address} count={heldCount} onChange={mailbox.reload} />}
            {preview && <PreviewCard preview={preview} />}
            <div className="figures">
              <Figure value={numberWords(shown.itemsIn)} name="items to the CRM" />
              <Figure value={numberWords(shown.itemsOut)} name="items to the mailbox" />
              <Figure value={numberWords(shown.conflicts)} name="conflicts" />
              <Figure value={numberWords(shown.refused)} name="refused" tone={shown.refused > 0 ? 'odd' : undefined} />
              <Figure
                value={numberWords(shown.failedRounds)}
                name="failed rounds"
                tone={shown.failedRounds > 0 ? 'bad' : undefined}
              />
            </div>
            <div className="side-by-side">
              <Explain address={address} />
              <Card title="About">
                <Facts
                  of={[
                    [
                      'Organization',
                      <To key="of" to={`/groupware/${encodeURIComponent(shown.organization)}`}>
                        {shown.organization}
                      </To>,
                    ],
                    ['In this state since', <At key="since" time={shown.since} />],
                    ['Last sync', <At key="round" time={shown.lastRoundAt} none="never" />],
                    ['Last item', <At key="item" time={shown.lastItemAt} none="never" />],
                    ['Own credential', shown.auth],
                  ]}
                />
                <details className="inside">
                  <summary>Rules that count</summary>
                  <Code label="Rules as JSON" text={JSON.stringify(shown.effective, undefined, 2)} />
                </details>
              </Card>
            </div>
          </>
        )}
      </Shown>
      <Journal address={address} />
    </Page>
  )
}

function PreviewCard({ preview: { counts, items, hasMore } }: { readonly preview: Preview }) {
  const sums = Object.entries(counts).flatMap(([kind, byWhat]) =>
    Object.entries(byWhat).map(([what, count]) => `${numberWords(count)} × ${what} (${kind})`),
  )
  return (
    <Card title="What the first sync would do" aside="nothing was written">
      <p className="body-text">{sums.length > 0 ? sums.join(', ') : 'Nothing: both sides are in step.'}</p>
      <JournalLines lines={items.map(item => ({ ...item, about: 'item' as const }))} />
      {hasMore && <p className="note">There is more than is shown here.</p>}
    </Card>
  )
}

function Explain({ address }: { readonly address: string }) {
  const { reason } = useSession()
  const [item, setItem] = useState('')
  const [found, setFound] = useState<Explanation>()
  const [failure, setFailure] = useState<Refusal['problem']>()
  const [isBusy, setBusy] = useState(false)
  const why = reason(reads)

  async function explain() {
    setBusy(true)
    setFailure(undefined)
    try {
      setFound(
        await ask<Explanation>('POST', pathTo`/api/mailboxes/${address}/explain`, { body: { item: item.trim() } }),
      )
    } catch (thrown) {
      setFailure(refusalOf(thrown))
    } finally {
      setBusy(false)
    }
  }

  return (
    <Card title="Why did an item (not) come over?">
      {why === undefined ? (
        <form
          className="ask-row"
          onSubmit={event => {
            event.preventDefault()
            if (item.trim() !== '') void explain()
          }}
        >
          <Input
            accessibleName="Part of the title, or id on either side"
            placeholder="Part of its title, or its id on either side"
            value={item}
            onInput={event => setItem(event.target.value ?? '')}
          />
          <Button type="Submit" loading={isBusy} disabled={item.trim() === ''}>
            Explain
          </Button>
        </form>
      ) : (
        <p className="note">{why}</p>
      )}
      <FailureStrip failure={failure} />
      {found && (
        <div aria-live="polite">
          {found.findings.length === 0 ? (
            <Nothing title="Neither side has such an item now." />
          ) : (
            <ul className="plain-list tall">
              {found.findings.map(finding => (
                <li key={`${finding.side}${finding.id}`}>
                  <div className="two-lines">
                    <strong className="break">{finding.title || finding.id}</strong>
                    <span className="quiet">
                      {finding.kind} in {sideName(finding.side)} · {finding.state}
                    </span>
                    <span>{finding.text}</span>
                  </div>
                </li>
              ))}
            </ul>
          )}
          {found.history.length > 0 && <JournalLines lines={found.history} />}
        </div>
      )}
    </Card>
  )
}

function Journal({ address }: { readonly address: string }) {
  const found = useGrowing<{ lines: readonly JournalLine[]; next?: number }>(
    limit => `${pathTo`/api/mailboxes/${address}/log`}${queryOf({ limit })}`,
    journalRows,
    10_000,
  )
  return (
    <Card title="Journal" aside="newest first">
      <Shown of={found}>
        {({ lines }) =>
          lines.length === 0 ? <Nothing title="Nothing has happened yet." /> : <JournalLines lines={lines} />
        }
      </Shown>
      {found.data?.next !== undefined && (
        <div className="more">
          {found.grow ? (
            <Button loading={found.isGrowing} onClick={found.grow}>
              Show older ones
            </Button>
          ) : (
            <p className="note">Older lines are shown by the command line and the API.</p>
          )}
        </div>
      )}
    </Card>
  )
}

function sideName(side: string): string {
  return side === 'crm' ? 'the CRM' : 'the mailbox'
}
