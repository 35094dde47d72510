import { pathTo } from '../api/client.ts'
import type { Loss } from '../api/types.ts'
import { useAnswer } from '../api/use-answer.ts'
import { Shown } from './failure.tsx'

/** What no later message tells again when this one is skipped; nothing where it is no such message. */
export function LossWords({ id }: { readonly id: string }) {
  const found = useAnswer<{ lost?: Loss }>(pathTo`/api/messages/${id}/loss`)
  return (
    <Shown of={found}>
      {({ lost }) =>
        lost && (
          <>
            <p>
              <strong>What is lost with it:</strong> {lost.words}
            </p>
            <ul className="bare">
              {lost.segments.map(({ segment, fields }) => (
                <li key={segment} className="break">
                  <code>{segment}</code> {fields.join(', ')}
                </li>
              ))}
            </ul>
          </>
        )
      }
    </Shown>
  )
}
