import { ProgressIndicator } from '@ui5/webcomponents-react'
import { ask, pathTo } from '../api/client.ts'
import type { Job } from '../api/types.ts'
import { countWords, numberWords } from '../words/format.ts'
import { Act } from './act.tsx'
import { ErrorWords } from './failure.tsx'
import { To } from './rows.tsx'
import { StateTag } from './tags.tsx'
import { When } from './when.tsx'

const verbs: Readonly<Record<string, string>> = {
  activate: 'Activating',
  deactivate: 'Deactivating',
  resync: 'Syncing anew',
  pause: 'Pausing',
  resume: 'Resuming',
  delete: 'Deleting',
  'release-brake': 'Letting deletions pass in',
  'restore-held': 'Undoing deletions in',
  move: 'Moving the links of',
}

const shownFailures = 20

interface JobProgressProps {
  readonly job: Job
  readonly withOrganization?: boolean
  onChange(): void
}

/** How far a job on many mailboxes has come, who failed, and why. */
export function JobProgress({ job, withOrganization = false, onChange }: JobProgressProps) {
  const { id, organization, action, state, startedAt, endedAt, total, done, failed, failures } = job
  const verb = verbs[action] ?? action
  const percent = total === 0 ? 100 : Math.floor((done / total) * 100)
  return (
    <div className="job" data-job={state}>
      <div className="job-head">
        <strong>
          {verb} {countWords(total, 'mailbox', 'mailboxes')}
          {withOrganization && (
            <>
              {' of '}
              <To to={`/groupware/${encodeURIComponent(organization)}`}>{organization}</To>
            </>
          )}
        </strong>
        <StateTag state={state} />
        <span className="quiet">
          {endedAt === undefined ? 'began' : 'ended'} <When time={endedAt ?? startedAt} />
        </span>
        {state === 'running' && (
          <Act
            words="Cancel"
            permission="WorkspaceArtifactsDeploy"
            design="Transparent"
            confirm={{
              title: 'Cancel this job?',
              consequence: <p>What it has done stays; the rest is left as it is.</p>,
            }}
            act={async () => {
              await ask('POST', pathTo`/api/groupware-jobs/${id}/cancel`)
              onChange()
              return 'The job ends.'
            }}
          />
        )}
      </div>
      <ProgressIndicator
        value={percent}
        valueState={failed > 0 ? 'Negative' : state === 'done' ? 'Positive' : 'None'}
        displayValue={`${numberWords(done)} of ${numberWords(total)}`}
        accessibleName={`${verb}: ${done} of ${total}`}
      />
      {failed > 0 && (
        <details open={failures.length <= 3}>
          <summary>{countWords(failed, 'mailbox', 'mailboxes')} failed</summary>
          <ul className="plain-list tall">
            {failures.slice(0, shownFailures).map(({ mailbox, error }) => (
              <li key={mailbox}>
                <To to={`/mailboxes/${encodeURIComponent(mailbox)}`}>{mailbox}</To>
                <ErrorWords what={error.message} error={error} />
              </li>
            ))}
          </ul>
        </details>
      )}
    </div>
  )
}
