import { useState } from 'react'
import { ask, pathTo } from '../api/client.ts'
import type { AccessTest, Job, MailboxState, Organization } from '../api/types.ts'
import { useAnswer } from '../api/use-answer.ts'
import { AccessTestCard } from '../parts/access-test.tsx'
import { Act, ReadOnlyNote } from '../parts/act.tsx'
import { AddMailboxes } from '../parts/add-mailboxes.tsx'
import { Facts, Figure } from '../parts/facts.tsx'
import { ErrorWords, Shown } from '../parts/failure.tsx'
import { JobProgress } from '../parts/job-progress.tsx'
import { MailboxList } from '../parts/mailbox-list.tsx'
import { ChangeOrganization, editsOrganizations } from '../parts/organization-editor.tsx'
import { Card, Page } from '../parts/page.tsx'
import { stateWord } from '../parts/tags.tsx'
import { At } from '../parts/when.tsx'
import { hrefOf, navigate, usePlace } from '../route.ts'
import type { PageProps } from '../shell.tsx'
import { numberWords } from '../words/format.ts'
import { OrganizationState } from './groupware.tsx'

const deploys = 'WorkspaceArtifactsDeploy'
const states: readonly MailboxState[] = ['error', 'paused', 'testing', 'active', 'not-activated']

/** One organization: its access, its mailboxes by their states, and what is done to many of them. */
export default function OrganizationPage({ name }: PageProps) {
  const { query } = usePlace()
  const state = states.find(each => each === query.get('state')) ?? ''
  const organization = useAnswer<Organization>(pathTo`/api/organizations/${name}`, 5_000)
  const [isWatching, setWatching] = useState(false)
  const jobs = useAnswer<{ jobs: readonly Job[] }>('/api/groupware-jobs', isWatching ? 1_000 : 5_000)
  const [test, setTest] = useState<AccessTest>()
  const own = jobs.data?.jobs.filter(job => job.organization === name) ?? []
  const isRunning = own.some(job => job.state === 'running')
  if (jobs.data && isRunning !== isWatching) setWatching(isRunning)
  // The newest one stays to be read when it has ended.
  const shown = own.filter((job, index) => job.state === 'running' || index === 0)
  const { data } = organization
  const act = (verb: string) => ask('POST', `${pathTo`/api/organizations/${name}`}/${verb}`)

  return (
    <Page
      title={name}
      above={['/groupware', 'Groupware']}
      about={data?.about}
      state={data && <OrganizationState of={data} />}
      actions={
        data && (
          <>
            <Act
              words="Test access"
              permission={deploys}
              act={async () => {
                setTest(await ask<AccessTest>('POST', pathTo`/api/organizations/${name}/test`, { body: {} }))
                return undefined
              }}
            />
            <ChangeOrganization
              organization={data}
              onChange={found => {
                setTest(found)
                organization.reload()
              }}
            />
            <AddMailboxes organization={name} onChange={organization.reload} />
            {data.isPaused ? (
              <Act
                words="Resume all"
                design="Emphasized"
                permission={deploys}
                act={async () => {
                  await act('resume')
                  organization.reload()
                  return `${name} is synced again.`
                }}
              />
            ) : (
              <Act
                words="Pause all"
                permission={deploys}
                confirm={{
                  title: `Pause ${name}?`,
                  consequence: (
                    <p>
                      None of its mailboxes is synced until it is resumed. Nothing is lost: what changes meanwhile comes
                      over then.
                    </p>
                  ),
                }}
                act={async () => {
                  await act('pause')
                  organization.reload()
                  return `${name} is paused.`
                }}
              />
            )}
          </>
        )
      }
    >
      <ReadOnlyNote permissions={[deploys]} />
      <Shown of={organization}>
        {shownOrganization => (
          <>
            {shownOrganization.account.trouble && (
              <Card title="What is wrong with the account behind all mailboxes" className="wrong">
                <ErrorWords
                  what={shownOrganization.account.trouble.message}
                  error={shownOrganization.account.trouble}
                />
              </Card>
            )}
            {test && <AccessTestCard test={test} />}
            <div className="figures">
              {states.map(each => (
                <Figure
                  key={each}
                  value={numberWords(shownOrganization.mailboxes[each] ?? 0)}
                  name={stateWord(each).toLowerCase()}
                  tone={each === 'error' && (shownOrganization.mailboxes[each] ?? 0) > 0 ? 'bad' : undefined}
                  href={hrefOf(`/groupware/${encodeURIComponent(name)}?state=${each}`)}
                />
              ))}
            </div>
            {shown.length > 0 && (
              <Card title="Jobs">
                <ul className="plain-list tall">
                  {shown.map(job => (
                    <li key={job.id}>
                      <JobProgress job={job} onChange={jobs.reload} />
                    </li>
                  ))}
                </ul>
              </Card>
            )}
            <MailboxList
              organization={name}
              state={state}
              counts={shownOrganization.mailboxes}
              onJob={() => {
                jobs.reload()
                organization.reload()
              }}
            />
            <Card title="About">
              <Facts
                of={[
                  ['Access', shownOrganization.access],
                  ['Exchange', shownOrganization.exchange.url ?? 'found by Autodiscover'],
                  ['Credential of Exchange', shownOrganization.exchange.auth],
                  ['Cloud for Customer', shownOrganization.crm.url],
                  ['Credential of Cloud for Customer', shownOrganization.crm.auth],
                  ['Profile', shownOrganization.profile],
                  ['Looked at every', shownOrganization.every],
                  ['Tested with', shownOrganization.testMailbox],
                  [
                    'Account rests until',
                    shownOrganization.account.pausedUntil && (
                      <At key="rest" time={shownOrganization.account.pausedUntil} />
                    ),
                  ],
                  ['Changed', <At key="changed" time={shownOrganization.changedAt} />],
                ]}
              />
              <div className="card-acts">
                <Act
                  words="Delete organization"
                  design="Transparent"
                  permission={editsOrganizations}
                  unless={
                    Object.values(shownOrganization.mailboxes).some(count => count > 0)
                      ? 'It still has mailboxes; remove them first.'
                      : undefined
                  }
                  confirm={{ title: `Delete ${name}?`, consequence: <p>Its settings are gone for good.</p> }}
                  act={async () => {
                    await ask('DELETE', pathTo`/api/organizations/${name}`)
                    navigate('/groupware')
                    return `${name} is deleted.`
                  }}
                />
              </div>
            </Card>
          </>
        )}
      </Shown>
    </Page>
  )
}
