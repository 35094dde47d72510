import { Input, Label } from '@ui5/webcomponents-react'
import { useState } from 'react'
import { ask, pathTo, queryOf } from '../api/client.ts'
import type { MessageDetail } from '../api/types.ts'
import { navigate } from '../route.ts'
import { Act } from './act.tsx'
import { LossWords } from './loss.tsx'
import { Repair } from './repair.tsx'

const deletes = 'DataStoresAndQueuesDelete'
const reasonLettersMax = 500

/** What a person can do with a message: let it travel again, repair it, end it. */
export function MessageActs({ message, onChange }: { readonly message: MessageDetail; onChange(): void }) {
  const { id, state, orderKey } = message
  const [why, setWhy] = useState('')
  const isOpen = state === 'queued' || state === 'set-aside'
  const isSetAside = state === 'set-aside'
  const isUncertain = message.receipts.some(receipt => receipt.state === 'intended')

  return (
    <>
      <Act
        words="Replay"
        design={isSetAside ? 'Emphasized' : 'Default'}
        permission={deletes}
        unless={state === 'queued' ? 'It is on its way; it is tried again by itself.' : undefined}
        confirm={{
          title: 'Replay this message?',
          consequence: isSetAside ? (
            <>
              <p>
                It travels again from where it stopped. What has a receipt is not done a second time; its retries begin
                anew.
              </p>
              {isUncertain && (
                <p>
                  Of one attempt it is not known whether it arrived: <strong>the receiver may get it twice</strong>.
                  Look there first.
                </p>
              )}
            </>
          ) : (
            <p>
              It has ended. A new message with the same content travels the whole way, and{' '}
              <strong>the receiver gets it again</strong>. The new one names this one.
            </p>
          ),
        }}
        act={async () => {
          const { id: travels } = await ask<{ id: string }>(
            'POST',
            `${pathTo`/api/messages/${id}/replay`}${queryOf({ state })}`,
          )
          if (travels !== id) navigate(`/messages/${travels}`)
          else onChange()
          return travels === id ? 'It travels again.' : `It travels again as ${travels}.`
        }}
      />
      <Repair message={message} onChange={onChange} />
      <Act
        words="Skip"
        design="Negative"
        permission={deletes}
        unless={isOpen ? undefined : 'It has ended; there is nothing to skip.'}
        missing={why.trim() === '' ? 'reason' : undefined}
        confirm={{
          title: 'Skip this message?',
          consequence: (
            <>
              <p>
                It ends here and <strong>is not delivered</strong>
                {orderKey === undefined ? '.' : `; those behind it with the key ${orderKey} go on.`} Its content stays
                until its retention ends, and it can be replayed until then. Your name and the reason are kept.
              </p>
              <LossWords id={id} />
            </>
          ),
          fields: (
            <div className="field">
              <Label for="reason" required>
                Reason
              </Label>
              <Input
                id="reason"
                accessibleName="Reason"
                value={why}
                maxlength={reasonLettersMax}
                onInput={event => setWhy(event.target.value ?? '')}
              />
            </div>
          ),
        }}
        act={async () => {
          await ask('POST', pathTo`/api/messages/${id}/skip`, { body: { reason: why.trim() } })
          onChange()
          return 'It was skipped.'
        }}
      />
    </>
  )
}
