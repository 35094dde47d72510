import { BusyIndicator, Button, MessageStrip } from '@ui5/webcomponents-react'
import { useState } from 'react'
import { ask, askBytes, pathTo, type Refusal, refusalOf } from '../api/client.ts'
import type { MessageDetail } from '../api/types.ts'
import { useSession } from '../session/session.ts'
import { base64Of, bodyOfText, type EditableText, editableText } from '../words/body-text.ts'
import { headersOfLines, linesOfHeaders } from '../words/header-lines.ts'
import { notify } from './act.tsx'
import { FailureStrip } from './failure.tsx'
import { Question } from './question.tsx'

const deletes = 'DataStoresAndQueuesDelete'
/** Larger bodies are repaired by a file: no field of a browser edits them well. */
const editedBytesMax = 512 * 1024

interface RepairProps {
  readonly message: MessageDetail
  onChange(): void
}

/** The button, and the dialog in which body and headers of a set-aside message are changed. */
export function Repair({ message, onChange }: RepairProps) {
  const { reason } = useSession()
  const [isOpen, setOpen] = useState(false)
  const why =
    reason(deletes) ??
    (message.state === 'set-aside' ? undefined : 'Only a message that was set aside can be repaired.')
  return (
    <span title={why} className="act">
      <Button
        disabled={why !== undefined}
        {...(why !== undefined && { accessibleDescription: why, tooltip: why })}
        onClick={() => setOpen(true)}
      >
        Repair
      </Button>
      {isOpen && <RepairDialog message={message} onChange={onChange} onClose={() => setOpen(false)} />}
    </span>
  )
}

function RepairDialog({ message, onChange, onClose }: RepairProps & { onClose(): void }) {
  const { id } = message
  const [headers, setHeaders] = useState(() => linesOfHeaders(message.headers))
  const [text, setText] = useState<EditableText>()
  const [first, setFirst] = useState<string>()
  const [file, setFile] = useState<File>()
  const [isBusy, setBusy] = useState(false)
  const [failure, setFailure] = useState<Refusal['problem']>()
  const parsed = headersOfLines(headers)
  const wrongLine = 'wrongLine' in parsed && typeof parsed.wrongLine === 'number' ? parsed.wrongLine : undefined
  const haveHeadersChanged = headers !== linesOfHeaders(message.headers)
  const hasTextChanged = text !== undefined && text.text !== first
  const isChanged = haveHeadersChanged || hasTextChanged || file !== undefined

  async function send() {
    setBusy(true)
    setFailure(undefined)
    try {
      if (file && !haveHeadersChanged) {
        // Alone it may be as large as a message.
        await ask('PUT', pathTo`/api/messages/${id}/body`, { body: file })
      } else {
        const body = file
          ? { base64: base64Of(new Uint8Array(await file.arrayBuffer())) }
          : hasTextChanged
            ? { text: bodyOfText(text) }
            : undefined
        await ask('POST', pathTo`/api/messages/${id}/repair`, {
          body: { ...(haveHeadersChanged && { headers: parsed }), ...(body && { body }) },
        })
      }
      onClose()
      onChange()
      notify('It was repaired and travels again.')
    } catch (thrown) {
      setFailure(refusalOf(thrown))
    } finally {
      setBusy(false)
    }
  }

  return (
    <Question
      stretch
      title="Repair this message"
      className="repair"
      isBusy={isBusy}
      onClose={onClose}
      buttons={
        <>
          <Button
            design="Emphasized"
            loading={isBusy}
            disabled={!isChanged || wrongLine !== undefined}
            onClick={() => void send()}
          >
            Repair and send on
          </Button>
          <Button design="Transparent" onClick={onClose}>
            Cancel
          </Button>
        </>
      }
    >
      <p>
        It travels again with what you change here. How it came in is kept beside it, and your name stands in the audit
        log.
      </p>
      <FailureStrip failure={failure} />
      <div className="edit">
        <label htmlFor="repair-headers">Headers, one in each line</label>
        <textarea
          id="repair-headers"
          className="code-edit"
          rows={Math.min(12, headers.split('\n').length + 1)}
          spellCheck={false}
          value={headers}
          onChange={event => setHeaders(event.target.value)}
        />
      </div>
      {wrongLine !== undefined && (
        <MessageStrip design="Negative" hideCloseButton>
          Line {wrongLine} of the headers is no “name: value”, or repeats a name.
        </MessageStrip>
      )}
      <BodyEdit
        message={message}
        text={text}
        onText={next => {
          setText(next)
          setFirst(before => before ?? next.text)
        }}
      />
      <div className="edit">
        <label htmlFor="repair-file">Or a file instead of the body</label>
        <input id="repair-file" type="file" onChange={event => setFile(event.target.files?.[0])} />
      </div>
    </Question>
  )
}

/** The body in a field, where it is text that can be edited without changing the rest of it. */
function BodyEdit(props: {
  readonly message: MessageDetail
  readonly text: EditableText | undefined
  onText(text: EditableText): void
}) {
  const { message, text, onText } = props
  const { reason } = useSession()
  const [why, setWhy] = useState(
    reason('MessagePayloadsRead') ??
      (message.body.bytes > editedBytesMax
        ? 'It is too large for a field; download it, change it and choose it as a file.'
        : undefined),
  )
  const [isAsked, setAsked] = useState(false)

  if (why === undefined && text === undefined && !isAsked) {
    setAsked(true)
    askBytes(pathTo`/api/messages/${message.id}/body`).then(
      ({ bytes }) => {
        const found = editableText(bytes)
        if (found) onText(found)
        else setWhy('It is no text with line ends of one kind; download it, change it and choose it as a file.')
      },
      (thrown: unknown) => setWhy(refusalOf(thrown).title),
    )
  }
  if (why !== undefined) return <p className="note">The body cannot be edited here. {why}</p>
  if (text === undefined) return <BusyIndicator active delay={300} className="busy" />
  return (
    <div className="edit">
      <label htmlFor="repair-body">Body</label>
      <textarea
        id="repair-body"
        className="code-edit"
        rows={18}
        spellCheck={false}
        value={text.text}
        onChange={event => onText({ ...text, text: event.target.value })}
      />
    </div>
  )
}
