import { BusyIndicator, MessageStrip } from '@ui5/webcomponents-react'
import type { ReactNode } from 'react'
import type { Refusal } from '../api/client.ts'
import type { Answered } from '../api/use-answer.ts'
import { turnOf } from '../words/turns.ts'

interface Told {
  readonly code: string
  readonly side?: string
  readonly next: string
}

/** An error as the hub tells it: what happened, whose turn it is, what to do next, and its code. */
export function ErrorWords({ what, error }: { readonly what: string; readonly error: Told }) {
  return (
    <div className="error-words">
      <p className="what">{what}</p>
      <dl>
        {error.side !== undefined && (
          <div>
            <dt>Whose turn</dt>
            <dd>{turnOf(error.side)}</dd>
          </div>
        )}
        <div>
          <dt>Next step</dt>
          <dd>{error.next}</dd>
        </div>
        <div>
          <dt>Code</dt>
          <dd>
            <code>{error.code}</code>
          </dd>
        </div>
      </dl>
    </div>
  )
}

/** Why an action or a question did not succeed. */
export function FailureStrip({ failure }: { readonly failure: Refusal['problem'] | undefined }) {
  if (!failure) return null
  return (
    <div role="alert">
      <MessageStrip design="Negative" hideCloseButton className="strip">
        <ErrorWords what={failure.title} error={failure} />
      </MessageStrip>
    </div>
  )
}

interface AnswerProps<Answer> {
  readonly of: Answered<Answer>
  readonly children: (data: Answer) => ReactNode
}

/** What was answered; while there is nothing yet, that; and why the newest question failed. */
export function Shown<Answer>({ of: { data, failure }, children }: AnswerProps<Answer>) {
  return (
    <>
      <FailureStrip failure={failure} />
      {data === undefined ? !failure && <BusyIndicator active delay={300} className="busy" /> : children(data)}
    </>
  )
}
