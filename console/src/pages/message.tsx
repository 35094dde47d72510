import { Tab, TabContainer } from '@ui5/webcomponents-react'
import { useState } from 'react'
import { pathTo } from '../api/client.ts'
import type { MessageDetail } from '../api/types.ts'
import { useAnswer } from '../api/use-answer.ts'
import { ReadOnlyNote } from '../parts/act.tsx'
import { BodyView } from '../parts/body-view.tsx'
import { Code } from '../parts/code.tsx'
import { Facts, Nothing } from '../parts/facts.tsx'
import { ErrorWords, Shown } from '../parts/failure.tsx'
import { MessageActs } from '../parts/message-acts.tsx'
import { Card, Page } from '../parts/page.tsx'
import { To } from '../parts/rows.tsx'
import { StateTag } from '../parts/tags.tsx'
import { At } from '../parts/when.tsx'
import type { PageProps } from '../shell.tsx'
import { bytesWords } from '../words/format.ts'
import { planJourney, type Station, titleOf } from '../words/journey.ts'

/** One message: what became of it and why, its journey, its content, and what a person can do with it. */
export default function MessagePage({ name: id }: PageProps) {
  const [isTravelling, setTravelling] = useState(false)
  const message = useAnswer<MessageDetail>(pathTo`/api/messages/${id}`, isTravelling ? 1_000 : 5_000)
  const { data } = message
  const travels = data?.state === 'queued' && data.heldBy === undefined && !data.awaitsChange
  if (data && travels !== isTravelling) setTravelling(travels)
  return (
    <Page
      title={data ? titleOf(data) : `Message ${id}`}
      above={['/messages', 'Messages']}
      about={
        data && (
          <>
            Message {data.id} of flow <To to={`/flows/${encodeURIComponent(data.flow)}`}>{data.flow}</To>
          </>
        )
      }
      state={data && <StateTag state={data.state} />}
      actions={data && <MessageActs message={data} onChange={message.reload} />}
    >
      <ReadOnlyNote permissions={['DataStoresAndQueuesDelete']} />
      <Shown of={message}>{detail => <Detail detail={detail} />}</Shown>
    </Page>
  )
}

function Detail({ detail }: { readonly detail: MessageDetail }) {
  const isOpen = detail.state === 'queued' || detail.state === 'set-aside' || detail.state === 'rejected'
  return (
    <>
      {detail.error && isOpen && (
        <Card title="What is wrong" className="wrong">
          <ErrorWords what={detail.error.message} error={detail.error} />
        </Card>
      )}
      <div className="side-by-side wide-first">
        <Card title="Journey">
          <ol className="journey">
            {planJourney(detail).map(station => (
              <Stop key={station.key} station={station} />
            ))}
          </ol>
        </Card>
        <Card title="About">
          <Facts
            of={[
              ['Accepted', <At key="at" time={detail.acceptedAt} />],
              ['Attempts', String(detail.attempts)],
              ['Size', bytesWords(detail.body.bytes)],
              ['Type', detail.body.type],
              ['Order key', detail.orderKey],
              ['Found by', detail.terms.length > 0 ? <Terms key="terms" terms={detail.terms} /> : undefined],
              [
                'Held by',
                detail.heldBy && (
                  <To key="held" to={`/messages/${detail.heldBy}`}>
                    {detail.heldBy}
                  </To>
                ),
              ],
              [
                'Repeats',
                detail.replayOf && (
                  <To key="of" to={`/messages/${detail.replayOf}`}>
                    {detail.replayOf}
                  </To>
                ),
              ],
              ['Repeated by', detail.replays.length > 0 ? <Replays key="by" replays={detail.replays} /> : undefined],
              [
                'SHA-256',
                detail.body.sha256 && (
                  <code key="sha" className="break">
                    {detail.body.sha256}
                  </code>
                ),
              ],
            ]}
          />
        </Card>
      </div>
      <Card title="Content" className="tabs">
        <TabContainer collapsed={false} contentBackgroundDesign="Transparent" headerBackgroundDesign="Transparent">
          <Tab text="Body" selected>
            <div className="tab-inside">
              <BodyView id={detail.id} which="current" body={detail.body} />
            </div>
          </Tab>
          <Tab text={`Headers (${Object.keys(detail.headers).length})`}>
            <div className="tab-inside">
              <Headers headers={detail.headers} />
            </div>
          </Tab>
          <Tab text="Attributes">
            <div className="tab-inside">
              <Code label="Attributes as JSON" text={JSON.stringify(detail.attributes, undefined, 2)} />
            </div>
          </Tab>
          {detail.original && (
            <Tab text="As it came in">
              <div className="tab-inside">
                <p className="note">It was repaired. This is how it came in.</p>
                <Headers headers={detail.original.headers} />
                <BodyView id={detail.id} which="original" body={detail.original.body} />
              </div>
            </Tab>
          )}
        </TabContainer>
      </Card>
    </>
  )
}

function Stop({ station }: { readonly station: Station }) {
  const { tone, title, text, error, at, facts } = station
  return (
    <li className={`stop is-${tone}`}>
      <div className="stop-head">
        <strong>{title}</strong>
        {at !== undefined && <At time={at} />}
      </div>
      {text !== undefined && text !== '' && <p className="break">{text}</p>}
      {facts.length > 0 && (
        <p className="quiet break">
          {facts.map(([name, value]) => (
            <span key={name} className="fact">
              {name} <code>{value}</code>
            </span>
          ))}
        </p>
      )}
      {error && <ErrorWords what={error.message} error={error} />}
    </li>
  )
}

function Terms({ terms }: { readonly terms: readonly string[] }) {
  return (
    <ul className="bare">
      {terms.map(term => (
        <li key={term}>
          <To to={`/messages?term=${encodeURIComponent(term)}`}>
            <span className="break">{term}</span>
          </To>
        </li>
      ))}
    </ul>
  )
}

function Replays({ replays }: { readonly replays: MessageDetail['replays'] }) {
  return (
    <ul className="bare">
      {replays.map(({ id, state }) => (
        <li key={id}>
          <To to={`/messages/${id}`}>{id}</To> <StateTag state={state} />
        </li>
      ))}
    </ul>
  )
}

function Headers({ headers }: { readonly headers: Readonly<Record<string, string>> }) {
  const entries = Object.entries(headers)
  if (entries.length === 0) return <Nothing title="It has no headers." />
  return (
    <table className="headers">
      <caption className="only-heard">Headers of the message</caption>
      <thead className="only-heard">
        <tr>
          <th scope="col">Header</th>
          <th scope="col">Value</th>
        </tr>
      </thead>
      <tbody>
        {entries.map(([name, value]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{value}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
