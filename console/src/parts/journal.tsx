import type { JournalLine } from '../api/types.ts'
import { When } from './when.tsx'

/** What was done to which item, and what happened to the mailbox itself. */
export function JournalLines({ lines }: { readonly lines: readonly JournalLine[] }) {
  return (
    <ol className="journal">
      {lines.map((line, index) => (
        // Lines of a preview have no number; their order never changes.
        <li key={line.number ?? `${line.at}-${index}`} className={isBad(line) ? 'bad-line' : ''}>
          <When time={line.at} />
          {line.about === 'mailbox' ? (
            <div>
              <strong>{line.what}</strong> <span className="break">{line.text}</span>
              {line.next !== undefined && <p className="quiet">Next: {line.next}</p>}
            </div>
          ) : (
            <div>
              <strong>{line.what}</strong>{' '}
              <span className="quiet">
                {line.kind}, to {line.side === 'crm' ? 'the CRM' : 'the mailbox'}
              </span>{' '}
              <span className="break">{line.title}</span>
              {line.reason !== undefined && <p className="quiet break">{line.reason}</p>}
              {line.error && (
                <p className="bad break">
                  {line.error.message} Next: {line.error.next}
                </p>
              )}
            </div>
          )}
        </li>
      ))}
    </ol>
  )
}

function isBad(line: JournalLine): boolean {
  return line.about === 'mailbox' ? line.code !== undefined : line.error !== undefined
}
