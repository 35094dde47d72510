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
          <span className="clip">{message.terms[0] ?? message.id}</span>
        </To>
        <span className={isWrong(message) ? 'bad clip' : 'quiet clip'}>
          {isWrong(message) ? message.error?.message : whatBecameOf(message)}
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
      message.error && isWrong(message) ? sideWord(message.error.side) : <span className="quiet">–</span>,
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

function isWrong({ error, state }: Message): boolean {
  return error !== undefined && ['queued', 'set-aside', 'rejected'].includes(state)
}

/** Beside its id: what became of a message that is not in trouble, what it waits for, and what it repeats. */
function whatBecameOf(message: Message): string {
  const { id, terms, summary, heldBy, orderKey, awaitsChange, isProbe, replayOf, state } = message
  const facts = [
    terms.length > 0 ? id : '',
    isProbe ? 'a probe of the hub' : '',
    replayOf === undefined ? '' : `repeats ${replayOf}`,
    state === 'queued' && heldBy !== undefined
      ? `held by ${heldBy}, which comes first for ${orderKey ?? 'its key'}`
      : '',
    state === 'queued' && awaitsChange ? 'waits for a change' : '',
    summary ?? '',
  ]
  return facts.filter(Boolean).join(' · ')
}
