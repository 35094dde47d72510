import { Button } from '@ui5/webcomponents-react'
import { useState } from 'react'
import { askBytes, pathTo, queryOf, type Refusal, refusalOf } from '../api/client.ts'
import type { MessageDetail } from '../api/types.ts'
import { useSession } from '../session/session.ts'
import { type ReadableBody, readBody } from '../words/body-text.ts'
import { bytesWords } from '../words/format.ts'
import { Code } from './code.tsx'
import { FailureStrip } from './failure.tsx'

/** Of a large body only its beginning is shown; the whole of it can be downloaded. */
const shownBytesMax = 64 * 1024

interface BodyViewProps {
  readonly id: string
  readonly which: 'current' | 'original'
  readonly body: MessageDetail['body']
}

/** The content of a message as text (never as a page), when somebody asks to see it; or as a file. */
export function BodyView({ id, which, body }: BodyViewProps) {
  const { reason } = useSession()
  const [shown, setShown] = useState<ReadableBody>()
  const [failure, setFailure] = useState<Refusal['problem']>()
  const [isBusy, setBusy] = useState(false)
  const path = `${pathTo`/api/messages/${id}/body`}${queryOf({ which })}`
  const why = reason('MessagePayloadsRead')
  if (why !== undefined) return <p className="note">The content is not shown: {why}</p>

  async function show() {
    setBusy(true)
    setFailure(undefined)
    try {
      const { bytes } = await askBytes(`${path}&first=${shownBytesMax}`)
      setShown(readBody(bytes))
    } catch (thrown) {
      setFailure(refusalOf(thrown))
    } finally {
      setBusy(false)
    }
  }

  return (
    <div className="body-view">
      <p className="body-facts">
        {bytesWords(body.bytes)} of <code>{body.type}</code>
        {shown && body.bytes > shownBytesMax && `, of which the first ${bytesWords(shownBytesMax)} are shown`}
        {shown?.kind === 'hex' && ', as bytes, since it is no text'}
      </p>
      <div className="body-acts">
        {!shown && (
          <Button loading={isBusy} onClick={() => void show()}>
            Show content
          </Button>
        )}
        <a className="go" href={path} download>
          Download
        </a>
      </div>
      <FailureStrip failure={failure} />
      {shown && <Code label="Content of the message" text={shown.text} />}
    </div>
  )
}
