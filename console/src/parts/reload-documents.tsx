import { useState } from 'react'
import { ask } from '../api/client.ts'
import type { FlowReload } from '../api/types.ts'
import { countWords } from '../words/format.ts'
import { Act } from './act.tsx'
import { Nothing } from './facts.tsx'
import { ErrorWords } from './failure.tsx'
import { Card } from './page.tsx'

const deploys = 'WorkspaceArtifactsDeploy'

const outcomes = {
  unchanged: ['', ''],
  started: ['would be started', 'was started'],
  restarted: ['has changed, would be started anew', 'was started anew'],
  stopped: ['has no document any more, would be stopped', 'was stopped: no document names it any more'],
  'left-stopped': ['stays stopped, as somebody stopped it', 'stays stopped, as somebody stopped it'],
  failed: ['cannot be started', 'could not be started'],
} as const

interface Told extends FlowReload {
  readonly isPlan: boolean
}

/** Brings the flows to what their documents say now: first what would come of it, then the deed. */
export function useReloadDocuments(onChange: () => void) {
  const [told, setTold] = useState<Told>()
  const reload = async (dryRun: boolean) => {
    const answer = await ask<FlowReload>('POST', '/api/flows/reload', { body: { dryRun } })
    setTold({ ...answer, isPlan: dryRun })
    return answer
  }
  const button = (
    <Act
      words="Look for changed documents"
      permission={deploys}
      act={async () => {
        await reload(true)
        return undefined
      }}
    />
  )
  const changed = told?.flows.filter(({ outcome }) => outcome !== 'unchanged') ?? []
  const isWorth = changed.some(({ outcome }) => outcome !== 'left-stopped' && outcome !== 'failed')
  const card = told && (
    <Card
      title={told.isPlan ? 'What the documents say now' : 'What was done'}
      aside={`${countWords(told.flows.length - changed.length, 'flow')} unchanged`}
    >
      {changed.length === 0 && <Nothing title="No document has changed.">Every flow runs as it is written.</Nothing>}
      <ul className="plain-list" aria-label="Changed flows">
        {changed.map(({ name, outcome, runs, error }) => (
          <li key={name} className="link-row">
            <p>
              <strong>{name}</strong> {outcomes[outcome][told.isPlan ? 0 : 1]}
              {outcome === 'failed' && runs ? '; it runs on as it was' : ''}
            </p>
            {error && <ErrorWords what={error.message} error={error} />}
          </li>
        ))}
      </ul>
      {told.isPlan && isWorth && (
        <div className="card-acts">
          <Act
            words="Apply the changes"
            design="Emphasized"
            permission={deploys}
            act={async () => {
              await reload(false)
              onChange()
              return 'The flows are as their documents say.'
            }}
          />
        </div>
      )}
    </Card>
  )
  return { button, card }
}
