import type { Job, Organization } from '../api/types.ts'
import { useAnswer } from '../api/use-answer.ts'
import { Nothing } from '../parts/facts.tsx'
import { Shown } from '../parts/failure.tsx'
import { JobProgress } from '../parts/job-progress.tsx'
import { CreateOrganization } from '../parts/organization-editor.tsx'
import { Card, Page } from '../parts/page.tsx'
import { Profiles } from '../parts/profiles.tsx'
import { type Column, Rows, To } from '../parts/rows.tsx'
import { Pill, StateTag } from '../parts/tags.tsx'
import { numberWords } from '../words/format.ts'

const shownJobs = 5

/** Organizations of the groupware sync, and what is being done to many mailboxes. */
export default function GroupwarePage() {
  const organizations = useAnswer<{ organizations: readonly Organization[] }>('/api/organizations', 10_000)
  const jobs = useAnswer<{ jobs: readonly Job[] }>('/api/groupware-jobs', 5_000)
  return (
    <Page
      title="Groupware"
      about="Calendars, contacts, tasks and mail of Exchange mailboxes, kept in step with SAP Cloud for Customer."
      actions={<CreateOrganization onChange={organizations.reload} />}
    >
      <Card title="Organizations">
        <Shown of={organizations}>
          {data => (
            <Rows
              name="Organizations"
              columns={columns}
              rows={data.organizations}
              keyOf={organization => organization.name}
              toOf={organization => `/groupware/${encodeURIComponent(organization.name)}`}
              none={
                <Nothing title="There is no organization yet.">
                  The guide of the groupware sync leads through its settings, also at the sides of Microsoft and SAP.
                </Nothing>
              }
            />
          )}
        </Shown>
      </Card>
      {jobs.data && jobs.data.jobs.length > 0 && (
        <Card title="Newest jobs">
          <ul className="plain-list tall">
            {jobs.data.jobs.slice(0, shownJobs).map(job => (
              <li key={job.id}>
                <JobProgress job={job} withOrganization onChange={jobs.reload} />
              </li>
            ))}
          </ul>
        </Card>
      )}
      <Profiles />
    </Page>
  )
}

const columns: readonly Column<Organization>[] = [
  {
    name: 'Organization',
    minWidth: '14rem',
    weight: 9,
    show: ({ name, about }) => (
      <div className="two-lines">
        <To to={`/groupware/${encodeURIComponent(name)}`}>{name}</To>
        {about !== '' && <span className="quiet clip">{about}</span>}
      </div>
    ),
  },
  {
    name: 'State',
    width: '9rem',
    minWidth: '8rem',
    weight: 8,
    show: organization => <OrganizationState of={organization} />,
  },
  {
    name: 'Active',
    width: '7rem',
    minWidth: '5rem',
    weight: 6,
    isNumber: true,
    show: ({ mailboxes }) => numberWords(mailboxes.active ?? 0),
  },
  {
    name: 'In error',
    width: '7rem',
    minWidth: '5rem',
    weight: 7,
    isNumber: true,
    show: ({ mailboxes: { error } }) => <span className={error > 0 ? 'bad' : 'quiet'}>{numberWords(error)}</span>,
  },
  {
    name: 'Paused',
    width: '7rem',
    minWidth: '5rem',
    weight: 4,
    isNumber: true,
    show: ({ mailboxes }) => numberWords(mailboxes.paused ?? 0),
  },
  {
    name: 'Not activated',
    width: '8rem',
    minWidth: '7rem',
    weight: 3,
    isNumber: true,
    show: ({ mailboxes }) => numberWords(mailboxes['not-activated'] ?? 0),
  },
  { name: 'Access', width: '11rem', minWidth: '9rem', weight: 2, show: ({ access }) => access },
]

/** Whether an organization syncs: paused by a person, resting because the server asked for it, refused, or well. */
export function OrganizationState({ of: { isPaused, account } }: { readonly of: Organization }) {
  if (isPaused) return <StateTag state="paused" />
  if (account.isRefused || account.trouble) return <StateTag state="error" />
  if (account.pausedUntil !== undefined) return <Pill design="Critical">Resting</Pill>
  return <StateTag state="active" />
}
