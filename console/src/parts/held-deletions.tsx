import { ask, pathTo } from '../api/client.ts'
import type { Held } from '../api/types.ts'
import { useAnswer } from '../api/use-answer.ts'
import { useSession } from '../session/session.ts'
import { countWords, timeWords } from '../words/format.ts'
import { Act } from './act.tsx'
import { Nothing } from './facts.tsx'
import { Shown } from './failure.tsx'
import { Card } from './page.tsx'
import { type Column, Rows } from './rows.tsx'
import { When } from './when.tsx'

const deploys = 'WorkspaceArtifactsDeploy'
const reads = 'MessagePayloadsRead'

interface HeldDeletionsProps {
  readonly address: string
  readonly count: number
  onChange(): void
}

/** Deletions that were too many at once to be carried over without a word: what they are, and the two words there are. */
export function HeldDeletions({ address, count, onChange }: HeldDeletionsProps) {
  const { may } = useSession()
  const held = useAnswer<Held>(may(reads) ? pathTo`/api/mailboxes/${address}/held` : undefined, 10_000)

  const decide = (words: string, path: string, design: 'Emphasized' | 'Negative', consequence: React.ReactNode) => (
    <Act
      words={words}
      design={design}
      permission={deploys}
      confirm={{ title: `${words}: ${countWords(count, 'deletion')}?`, consequence }}
      act={async () => {
        await ask('POST', `${pathTo`/api/mailboxes/${address}`}/${path}`, { body: {} })
        onChange()
        return 'The next round does it.'
      }}
    />
  )

  return (
    <Card title={`${countWords(count, 'deletion')} wait for your word`} className="wrong">
      <p className="body-text">
        More was deleted at once than the profile lets pass. Until somebody decides, the items stay on the other side.
      </p>
      {may(reads) && (
        <Shown of={held}>
          {({ items }) => (
            <Rows
              name="Deletions that wait"
              columns={columns}
              rows={items}
              keyOf={item => `${item.exchangeId} ${item.crmId}`}
              none={<Nothing title="They are being looked at." />}
            />
          )}
        </Shown>
      )}
      <div className="card-acts">
        {decide(
          'Undo the deletions',
          'restore-held',
          'Emphasized',
          <p>
            What was deleted is created anew from the half that is left. The new items have other ids than the old ones.
          </p>,
        )}
        {decide(
          'Let them pass',
          'release-brake',
          'Negative',
          <p>
            The items are deleted on the other side too. <strong>The hub cannot bring them back.</strong>
          </p>,
        )}
      </div>
    </Card>
  )
}

const columns: readonly Column<Held['items'][number]>[] = [
  {
    name: 'Item',
    minWidth: '14rem',
    weight: 9,
    show: ({ title }) => (title === '' ? <span className="quiet">a private item</span> : title),
  },
  { name: 'Kind', width: '8rem', minWidth: '7rem', weight: 5, show: ({ kind }) => kind },
  {
    name: 'Deleted in',
    width: '9rem',
    minWidth: '8rem',
    weight: 8,
    show: ({ deletedOn }) => (deletedOn === 'crm' ? 'the CRM' : 'the mailbox'),
  },
  {
    name: 'Date',
    width: '13rem',
    minWidth: '11rem',
    weight: 4,
    show: ({ date }) => (date === undefined ? '–' : timeWords(date)),
  },
  { name: 'Waits since', width: '9rem', minWidth: '7rem', weight: 6, show: ({ heldAt }) => <When time={heldAt} /> },
]
