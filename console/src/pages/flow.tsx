import { useState } from 'react'
import { ask, pathTo } from '../api/client.ts'
import type { Flow, FlowCheck, FlowDocument, FlowProbe, Link, Message } from '../api/types.ts'
import { useAnswer } from '../api/use-answer.ts'
import { Act, ReadOnlyNote } from '../parts/act.tsx'
import { Code } from '../parts/code.tsx'
import { FlowFigures, FlowState } from '../parts/counts.tsx'
import { Facts, Nothing } from '../parts/facts.tsx'
import { ErrorWords, Shown } from '../parts/failure.tsx'
import { messageColumns } from '../parts/message-columns.tsx'
import { Card, Page } from '../parts/page.tsx'
import { Rows, To } from '../parts/rows.tsx'
import { SetAsideActs } from '../parts/set-aside-acts.tsx'
import { StateTag } from '../parts/tags.tsx'
import { At, When } from '../parts/when.tsx'
import { useSession } from '../session/session.ts'
import type { PageProps } from '../shell.tsx'
import { countWords } from '../words/format.ts'
import { planWaiting } from '../words/waiting.ts'

const deploys = 'WorkspaceArtifactsDeploy'
const deletes = 'DataStoresAndQueuesDelete'
const lookedAtMax = 500

/** One flow: how it is, its links, its document, its newest messages; start, stop, check and probe. */
export default function FlowPage({ name }: PageProps) {
  const flow = useAnswer<Flow>(pathTo`/api/flows/${name}`, 5_000)
  const recent = useAnswer<{ messages: readonly Message[] }>(
    `/api/messages?flow=${encodeURIComponent(name)}&limit=10`,
    5_000,
  )
  // Why they wait is said of each of them, and counted here.
  const waiting = useAnswer<{ messages: readonly Message[] }>(
    (flow.data?.counts.queued ?? 0) > 0
      ? `/api/messages?flow=${encodeURIComponent(name)}&state=queued&limit=${lookedAtMax}`
      : undefined,
    10_000,
  )
  const [check, setCheck] = useState<FlowCheck>()
  const [probe, setProbe] = useState<FlowProbe>()
  const { data } = flow
  const act = (verb: string) => ask<Flow>('POST', `${pathTo`/api/flows/${name}`}/${verb}`)

  const actions = data && (
    <>
      {data.state === 'stopped' ? (
        <Act
          words="Start"
          design="Emphasized"
          permission={deploys}
          act={async () => {
            await act('start')
            flow.reload()
            return `Flow ${name} runs.`
          }}
        />
      ) : (
        <Act
          words="Stop"
          permission={deploys}
          unless={data.state === 'gone' ? 'No document names it any more; it does not run.' : undefined}
          confirm={{
            title: `Stop flow ${name}?`,
            consequence: (
              <>
                <p>It takes no more messages, and stays stopped when the hub starts anew.</p>
                <p>
                  {countWords(data.counts.queued, 'message')} that wait stay and travel on when it is started. Senders
                  that call it are refused meanwhile.
                </p>
              </>
            ),
          }}
          act={async () => {
            await act('stop')
            flow.reload()
            return `Flow ${name} is stopped.`
          }}
        />
      )}
      <Act
        words="Check links"
        permission={deploys}
        unless={data.state === 'running' ? undefined : 'Only a flow that runs has links to check.'}
        act={async () => {
          setCheck(await ask<FlowCheck>('POST', pathTo`/api/flows/${name}/check`))
          return undefined
        }}
      />
      <Act
        words="Send a probe"
        permission={deploys}
        unless={data.state === 'running' ? undefined : 'Only a flow that runs can be probed.'}
        confirm={{
          title: 'Send a probe?',
          consequence: (
            <p>A message of the hub’s own travels the whole way, from the sender to the receiver, and is waited for.</p>
          ),
        }}
        act={async () => {
          setProbe(await ask<FlowProbe>('POST', pathTo`/api/flows/${name}/probe`, { body: {} }))
          return undefined
        }}
      />
      <SetAsideActs flow={data} onChange={() => flow.reload()} />
    </>
  )

  return (
    <Page
      title={name}
      above={['/flows', 'Flows']}
      about={data?.about}
      state={data && <FlowState flow={data} />}
      actions={actions}
    >
      <ReadOnlyNote permissions={[deploys, deletes]} />
      <Shown of={flow}>
        {shown => (
          <>
            <Problems flow={shown} />
            {probe && <ProbeResult probe={probe} />}
            <FlowFigures flow={name} counts={shown.counts} />
            <div className="side-by-side">
              <Card
                title="Links"
                aside={check ? (check.ok ? 'All were checked just now' : 'Checked just now') : undefined}
              >
                <Links links={shown.links} check={check} />
              </Card>
              <Card title="About">
                <Facts
                  of={[
                    ['From', shown.from],
                    ['To', shown.to?.join(', ')],
                    ['Owner', shown.owner],
                    ['Running since', shown.startedAt && <At time={shown.startedAt} />],
                    ['Last accepted', <At key="last" time={shown.counts.lastAcceptedAt} none="never" />],
                    ['Of those that wait', waiting.data && <Waiting key="held" messages={waiting.data.messages} />],
                    ['Oldest waiting', <At key="oldest" time={shown.counts.oldestQueuedAt} none="nothing waits" />],
                    ['On their way now', String(shown.running)],
                    ['Alert when quiet for', shown.expect?.quiet ?? 'no alert; the document has no expect.quiet'],
                    ['Probe every', shown.expect?.probe ?? 'no probes; the document has no expect.probe'],
                    ['Revision', shown.revision && <code>{shown.revision}</code>],
                  ]}
                />
              </Card>
            </div>
          </>
        )}
      </Shown>
      <Card title="Newest messages" aside={<To to={`/messages?flow=${encodeURIComponent(name)}`}>All of this flow</To>}>
        <Shown of={recent}>
          {found => (
            <Rows
              name="Newest messages"
              columns={messageColumns.filter(column => column.name !== 'Flow')}
              rows={found.messages}
              keyOf={message => message.id}
              toOf={message => `/messages/${message.id}`}
              none={<Nothing title="No message has come in yet." />}
            />
          )}
        </Shown>
      </Card>
      <Document name={name} revision={data?.revision} />
    </Page>
  )
}

function Waiting({ messages }: { readonly messages: readonly Message[] }) {
  const { held, awaiting, due } = planWaiting(messages)
  return (
    <>
      {due} on their way or to be tried again, <span className={held > 0 ? 'odd' : ''}>{held} held</span>, {awaiting}{' '}
      wait for a change{messages.length === lookedAtMax && ` (of the newest ${lookedAtMax})`}
    </>
  )
}

function Problems({ flow: { problems } }: { readonly flow: Flow }) {
  if (problems.length === 0) return null
  return (
    <Card title="The document has mistakes" aside={countWords(problems.length, 'mistake')}>
      <ul className="plain-list tall">
        {problems.map(problem => (
          <li key={`${problem.line}:${problem.column}:${problem.message}`}>
            <ErrorWords
              what={`Line ${problem.line}, column ${problem.column}: ${problem.message}`}
              error={{
                code: problem.code ?? 'FLOW',
                side: 'flow',
                next: problem.next ?? 'Correct the document and start the flow again.',
              }}
            />
          </li>
        ))}
      </ul>
    </Card>
  )
}

/** What stands still although nothing has failed. */
function waitOf(link: Link | undefined): string | undefined {
  return link?.waiting && `${link.waiting.count} waiting: ${link.waiting.reason}`
}

function Links({ links, check }: { readonly links: readonly Link[]; readonly check: FlowCheck | undefined }) {
  if (links.length === 0 && !check) return <Nothing title="It does not run, so it has no links." />
  const checked = new Map(check?.links.map(each => [each.link, each]))
  const names = [...new Set([...links.map(({ link }) => link), ...checked.keys()])]
  return (
    <ul className="plain-list tall">
      {names.map(name => {
        const link = links.find(each => each.link === name)
        const proof = checked.get(name)
        const error = proof?.error ?? link?.error ?? link?.stuck?.error
        const state = proof ? (proof.ok ? 'up' : 'down') : link?.stuck ? 'stuck' : (link?.state ?? 'unknown')
        return (
          <li key={name} className="link-row">
            <div className="link-head">
              <strong>{name}</strong>
              <StateTag state={state} />
            </div>
            {error ? (
              <ErrorWords what={error.message} error={error} />
            ) : (
              <p className="quiet">{waitOf(link) ?? proof?.detail ?? link?.detail}</p>
            )}
            <p className="quiet">
              {proof
                ? `Checked just now, in ${proof.tookMs} ms`
                : link && (
                    <>
                      {stateSince(link)} <When time={link.since} />
                    </>
                  )}
            </p>
          </li>
        )
      })}
    </ul>
  )
}

function stateSince({ state }: Link): string {
  return state === 'up' ? 'Up since' : state === 'down' ? 'Down since' : 'Starting since'
}

function ProbeResult({ probe }: { readonly probe: FlowProbe }) {
  return (
    <Card title={probe.ok ? 'The probe arrived' : 'The probe did not arrive'}>
      {probe.error ? (
        <ErrorWords what={probe.error.message} error={probe.error} />
      ) : (
        <p className="body-text">{probe.summary}</p>
      )}
      {probe.id !== undefined && (
        <p className="body-text">
          <To to={`/messages/${probe.id}`}>See its journey</To>
        </p>
      )}
    </Card>
  )
}

/** The document as it stands on disk, with its parameters of this stage. */
function Document({ name, revision }: { readonly name: string; readonly revision: string | undefined }) {
  const { may, reason } = useSession()
  const path = may('WorkspacePackagesRead') ? pathTo`/api/flows/${name}/document` : undefined
  // A new revision may be another document.
  const document = useAnswer<FlowDocument>(path && `${path}${revision === undefined ? '' : `#${revision}`}`)
  if (path === undefined) {
    return (
      <Card title="Document">
        <p className="note">{reason('WorkspacePackagesRead')}</p>
      </Card>
    )
  }
  return (
    <Shown of={document}>
      {({ file, text, params }) => (
        <Card title="Document" aside={<code className="quiet">{file.split('/').slice(-2).join('/')}</code>}>
          {params && Object.keys(params).length > 0 && (
            <Facts
              of={Object.entries(params).map(([param, value]) => [
                `params.${param}`,
                <code key={param}>{JSON.stringify(value)}</code>,
              ])}
            />
          )}
          <Code label="Flow document as YAML" text={text} />
        </Card>
      )}
    </Shown>
  )
}
