import { Button, MessageStrip } from '@ui5/webcomponents-react'
import { useState } from 'react'
import { ask, pathTo, type Refusal, refusalOf } from '../api/client.ts'
import { useSession } from '../session/session.ts'
import { countWords } from '../words/format.ts'
import { notify } from './act.tsx'
import { FailureStrip } from './failure.tsx'
import { Question } from './question.tsx'

const deploys = 'WorkspaceArtifactsDeploy'

interface ListOutcome {
  readonly rows: number
  readonly added: readonly string[]
  readonly changed: readonly string[]
  readonly mistakes: readonly { readonly line: number; readonly message: string }[]
}

/** The button, and the dialog that takes a pasted list or a CSV: looked at first, added then, all of it or none. */
export function AddMailboxes({ organization, onChange }: { readonly organization: string; onChange(): void }) {
  const { reason } = useSession()
  const [isOpen, setOpen] = useState(false)
  const [text, setText] = useState('')
  const [outcome, setOutcome] = useState<ListOutcome>()
  const [failure, setFailure] = useState<Refusal['problem']>()
  const [isBusy, setBusy] = useState(false)
  const why = reason(deploys)

  async function send(dryRun: boolean) {
    setBusy(true)
    setFailure(undefined)
    try {
      const found = await ask<ListOutcome>('POST', pathTo`/api/organizations/${organization}/mailboxes/list`, {
        body: { text, dryRun },
      })
      setOutcome(found)
      if (dryRun || found.mistakes.length > 0) return
      setOpen(false)
      setText('')
      setOutcome(undefined)
      onChange()
      notify(`${countWords(found.added.length, 'mailbox', 'mailboxes')} were added; activate them next.`)
    } catch (thrown) {
      setFailure(refusalOf(thrown))
    } finally {
      setBusy(false)
    }
  }

  const isFine = outcome !== undefined && outcome.mistakes.length === 0 && outcome.rows > 0
  return (
    <span title={why} className="act">
      <Button disabled={why !== undefined} {...(why !== undefined && { tooltip: why })} onClick={() => setOpen(true)}>
        Add mailboxes
      </Button>
      {isOpen && (
        <Question
          title="Add mailboxes"
          isBusy={isBusy}
          onClose={() => setOpen(false)}
          buttons={
            <>
              <Button
                design={isFine ? 'Default' : 'Emphasized'}
                loading={isBusy}
                disabled={text.trim() === ''}
                onClick={() => void send(true)}
              >
                Look at the list
              </Button>
              <Button design="Emphasized" disabled={!isFine || isBusy} onClick={() => void send(false)}>
                Add them
              </Button>
              <Button design="Transparent" onClick={() => setOpen(false)}>
                Cancel
              </Button>
            </>
          }
        >
          <div className="edit">
            <label htmlFor="new-mailboxes">
              Addresses, one in each line; or a CSV with the columns mailbox and crm-user
            </label>
            <textarea
              id="new-mailboxes"
              className="code-edit"
              rows={10}
              spellCheck={false}
              placeholder={'anna@contoso.com\nben@contoso.com,benjamin.ruiz@contoso.com'}
              value={text}
              onChange={event => {
                setText(event.target.value)
                setOutcome(undefined)
              }}
            />
          </div>
          {outcome && (
            <MessageStrip design={isFine ? 'Positive' : 'Negative'} hideCloseButton>
              {isFine
                ? `${countWords(outcome.rows, 'line')}: ${outcome.added.length} new, ${outcome.changed.length} changed.`
                : `${countWords(outcome.mistakes.length, 'mistake')}; nothing is added until they are corrected.`}
            </MessageStrip>
          )}
          {outcome && outcome.mistakes.length > 0 && (
            <ul className="bare">
              {outcome.mistakes.slice(0, 20).map(({ line, message }) => (
                <li key={line}>
                  Line {line}: {message}
                </li>
              ))}
            </ul>
          )}
          <FailureStrip failure={failure} />
        </Question>
      )}
    </span>
  )
}
