import { Button, Toast } from '@ui5/webcomponents-react'
import { type ReactNode, useEffect, useId, useLayoutEffect, useRef, useState, useSyncExternalStore } from 'react'
import { type Refusal, refusalOf } from '../api/client.ts'
import { useSession } from '../session/session.ts'
import { FailureStrip } from './failure.tsx'
import { focusAgain } from './focus.ts'
import { Question } from './question.tsx'

interface ActProps {
  readonly words: string
  /** The right that the route behind it asks for. */
  readonly permission: string
  readonly icon?: string
  readonly design?: 'Default' | 'Emphasized' | 'Negative' | 'Transparent'
  /** Why it makes no sense now; undefined: it does. */
  readonly unless?: string | undefined
  /** Asked before: what it will do. Without it, it happens at once. */
  readonly confirm?: { readonly title: string; readonly consequence: ReactNode; readonly fields?: ReactNode }
  /** What is missing in the fields of the question. */
  readonly missing?: string | undefined
  act(): Promise<string | undefined>
  /** The question is gone, answered or not: what was typed for it may be forgotten. */
  onClose?(): void
}

/** What a question says and does. */
interface Asked extends Pick<ActProps, 'words' | 'act'> {
  readonly confirm: ActProps['confirm'] | undefined
}

/**
 * A button that changes something: disabled, with the reason, for whom it is not; busy while it works; its refusal told
 * where it was asked. What `act` resolves with is said when it succeeded.
 */
export function Act({ words, permission, icon, design = 'Default', unless, confirm, missing, act, onClose }: ActProps) {
  const { reason } = useSession()
  const [asked, setAsked] = useState<Asked>()
  const [isBusy, setBusy] = useState(false)
  const [failure, setFailure] = useState<Refusal['problem']>()
  const id = useId()
  const why = reason(permission) ?? unless
  const isOfUse = why === undefined
  const now: Asked = { words, confirm, act }
  // What was read is what is done, whatever the page learned meanwhile; fields go on as they are typed.
  const question = asked && !asked.confirm?.fields ? asked : now

  // A button that is of no use once it did its work, or goes, does not take the keyboard along.
  const wasOfUse = useRef(isOfUse)
  useEffect(() => {
    const isSpent = wasOfUse.current && !isOfUse
    wasOfUse.current = isOfUse
    if (!isSpent) return
    // Drawn anew, it has the focus for a moment, and loses it when its inside is disabled.
    const timer = setTimeout(() => leave(id))
    return () => clearTimeout(timer)
  }, [id, isOfUse])
  useLayoutEffect(() => () => leave(id), [id])

  function begin() {
    setFailure(undefined)
    if (confirm) setAsked(now)
    else void go()
  }

  function end() {
    setAsked(undefined)
    onClose?.()
  }

  async function go() {
    setBusy(true)
    setFailure(undefined)
    try {
      const said = await question.act()
      end()
      if (said !== undefined) notify(said)
    } catch (thrown) {
      setFailure(refusalOf(thrown))
      setAsked(question)
    } finally {
      setBusy(false)
    }
  }

  return (
    <span title={why} className="act">
      <Button
        id={id}
        design={design}
        disabled={why !== undefined}
        loading={isBusy && !asked}
        {...(icon !== undefined && { icon })}
        {...(why !== undefined && { accessibleDescription: why, tooltip: why })}
        onClick={begin}
      >
        {words}
      </Button>
      {asked && (
        <Question
          title={question.confirm?.title ?? question.words}
          state={failure || design === 'Negative' ? 'Negative' : 'None'}
          isBusy={isBusy}
          onClose={end}
          buttons={
            <>
              {(question.confirm || failure) && (
                <Button
                  design={design === 'Negative' ? 'Negative' : 'Emphasized'}
                  loading={isBusy}
                  disabled={missing !== undefined}
                  onClick={() => void go()}
                >
                  {failure ? 'Try again' : question.words}
                </Button>
              )}
              <Button design="Transparent" disabled={isBusy} onClick={end}>
                Cancel
              </Button>
            </>
          }
        >
          {question.confirm && <div className="consequence">{question.confirm.consequence}</div>}
          {question.confirm?.fields}
          <FailureStrip failure={failure} />
        </Question>
      )}
    </span>
  )
}

function leave(id: string): void {
  const { activeElement, body } = document
  if (activeElement === body || activeElement?.id === id) focusAgain(null)
}

/** Why some of the buttons of a page are disabled, in a line that screen readers reach too. */
export function ReadOnlyNote({ permissions }: { readonly permissions: readonly string[] }) {
  const { may, session } = useSession()
  const missing = permissions.filter(permission => !may(permission))
  if (missing.length === 0) return null
  return (
    <p className="note" role="note">
      Some actions are disabled: your roles ({session.administrator.roles.join(', ')}) do not include{' '}
      {missing.join(', ')}.
    </p>
  )
}

let notice: { readonly text: string; readonly number: number } | undefined
const listeners = new Set<() => void>()

/** Says for a moment what was done. */
export function notify(text: string): void {
  notice = { text, number: (notice?.number ?? 0) + 1 }
  for (const tell of listeners) tell()
}

export function Notices() {
  const current = useSyncExternalStore(
    tell => {
      listeners.add(tell)
      return () => listeners.delete(tell)
    },
    () => notice,
  )
  if (!current) return null
  return (
    <Toast key={current.number} open duration={4000} placement="BottomCenter">
      {current.text}
    </Toast>
  )
}
