import { ask, pathTo } from '../api/client.ts'
import type { Flow, SetAsidePass } from '../api/types.ts'
import { countWords } from '../words/format.ts'
import { Act, notify } from './act.tsx'

const deletes = 'DataStoresAndQueuesDelete'
const deploys = 'WorkspaceArtifactsDeploy'

/** After an outage: what waits is tried now, what was set aside travels again. */
export function SetAsideActs({ flow, onChange }: { readonly flow: Flow; onChange(): void }) {
  const { name, state, counts } = flow
  const idle = state === 'running' ? undefined : 'The flow does not run.'

  return (
    <>
      <Act
        words="Try now"
        permission={deploys}
        unless={idle ?? (counts.queued === 0 ? 'Nothing waits.' : undefined)}
        act={async () => {
          const { due } = await ask<{ due: number }>('POST', pathTo`/api/flows/${name}/retry`)
          onChange()
          return due === 0 ? 'Nothing waits for its next try.' : `${countWords(due, 'message')} tried now.`
        }}
      />
      <Act
        words="Replay set-aside"
        permission={deletes}
        unless={idle ?? (counts.setAside === 0 ? 'No message of this flow is set aside.' : undefined)}
        confirm={{
          title: `Replay what ${name} has set aside?`,
          consequence: (
            <>
              <p>
                {countWords(counts.setAside, 'message')}, the oldest first, travel again from where they stopped. What
                has a receipt is not done a second time.
              </p>
              <p>What may have arrived already stays: look at each of those alone.</p>
            </>
          ),
        }}
        act={async () => {
          const { done, inDoubt, failed } = await replayAll(name)
          onChange()
          const kept = inDoubt + failed
          const left = kept === 0 ? '' : ` ${countWords(kept, 'message')} stay set aside (${inDoubt} in doubt).`
          return `${countWords(done, 'message')} travel again.${left}`
        }}
      />
    </>
  )
}

/** Call after call, since the hub takes a number of them at a time; says how far it is. */
async function replayAll(name: string): Promise<{ done: number; inDoubt: number; failed: number }> {
  const total = { done: 0, inDoubt: 0, failed: 0 }
  let after: string | undefined
  do {
    const body = { ...(after !== undefined && { after }) }
    const pass = await ask<SetAsidePass>('POST', pathTo`/api/flows/${name}/set-aside/replay`, { body })
    total.done += pass.done
    total.inDoubt += pass.kept.inDoubt
    total.failed += pass.kept.failed
    after = pass.next
    if (after !== undefined) notify(`${countWords(total.done, 'message')} travel again so far.`)
  } while (after !== undefined)
  return total
}
