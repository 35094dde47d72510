import type { AccessTest } from '../api/types.ts'
import { ErrorWords } from './failure.tsx'
import { Card } from './page.tsx'
import { StateTag } from './tags.tsx'

/** What a test of access found at each step, in words. */
export function AccessTestCard({ test }: { readonly test: AccessTest }) {
  return (
    <Card title={test.ok ? 'The access works' : 'The access does not work'} aside={`tested with ${test.mailbox}`}>
      <ul className="plain-list tall" aria-live="polite">
        {test.steps.map(({ step, ok, detail, cause }) => (
          <li key={step} className="link-row">
            <div className="link-head">
              <strong>{step}</strong>
              <StateTag state={ok ? 'ok' : 'failed'} />
            </div>
            {cause ? <ErrorWords what={cause.message} error={cause} /> : <p className="quiet">{detail}</p>}
          </li>
        ))}
      </ul>
    </Card>
  )
}
