import type { Message } from '../api/types.ts'
import { bytesWords } from '../words/format.ts'
import { sideWord } from '../words/turns.ts'
import { type Column, To } from './rows.tsx'
import { StateTag } from './tags.tsx'
import { When } from './when.tsx'

/** The columns in which messages are listed. */
export const messageColumns: readonly Column<Message>[] = [
  { name: 'State', width: '8.5rem', minWidth: '8rem', weight: 8, show: message => <StateTag state={message.state} /> },
  {
    name: 'Message',
    minWidth: '16rem',
    weight: 9,
    show: message => (
      <div className="two-lines">
        <To to={`/messages/${message.id}`}>
          <span className="clip">{message.summary || message.id}</span>
        </To>
        <span className={message.error && message.state !== 'delivered' ? 'bad clip' : 'quiet clip'}>
          {message.error && message.state !== 'delivered' ? message.error.message : whyItWaits(message)}
        </span>
      </div>
    ),
  },
  {
    name: 'Flow',
    width: '12rem',
    minWidth: '9rem',
    weight: 6,
    show: message => <span className="clip">{message.flow}</span>,
  },
  {
    name: 'Whose turn',
    width: '9rem',
    minWidth: '8rem',
    weight: 7,
    show: message =>
      message.error && message.state !== 'delivered' ? sideWord(message.error.side) : <span className="quiet">–</span>,
  },
  {
    name: 'Accepted',
    width: '8.5rem',
    minWidth: '7rem',
    weight: 5,
    show: message => <When time={message.acceptedAt} />,
  },
  {
    name: 'Attempts',
    width: '6rem',
    minWidth: '5rem',
    weight: 2,
    isNumber: true,
    show: message => String(message.attempts),
  },
  {
    name: 'Size',
    width: '7rem',
    minWidth: '6rem',
    weight: 1,
    isNumber: true,
    show: message => bytesWords(message.bytes),
  },
]

/** Beside the id: what a message without an error waits for, and what it repeats. */
function whyItWaits({ id, summary, heldBy, orderKey, awaitsChange, isProbe, replayOf, state }: Message): string {
  const facts = [
    summary ? id : '',
    isProbe ? 'a probe of the hub' : '',
    replayOf === undefined ? '' : `repeats ${replayOf}`,
    state === 'queued' && heldBy !== undefined
      ? `held by ${heldBy}, which comes first for ${orderKey ?? 'its key'}`
      : '',
    state === 'queued' && awaitsChange ? 'waits for a change' : '',
  ]
  return facts.filter(Boolean).join(' · ')
}
