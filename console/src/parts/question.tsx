import { Dialog, type DialogPropTypes } from '@ui5/webcomponents-react'
import { type ReactNode, useEffect, useLayoutEffect, useState } from 'react'
import { focusAgain } from './focus.ts'

interface QuestionProps extends Pick<DialogPropTypes, 'state' | 'stretch'> {
  readonly title: string
  readonly className?: string
  /** What was answered is on its way to the hub. */
  readonly isBusy: boolean
  readonly buttons: ReactNode
  readonly children: ReactNode
  onClose(): void
}

/**
 * A dialog over the page. When it goes, the keyboard is where it was before; what somebody typed into it goes by its
 * buttons only, not by an Escape that was meant for a list, and not by a page that is loaded anew.
 */
export function Question({ title, className = '', isBusy, buttons, children, onClose, ...look }: QuestionProps) {
  const [isTyped, setTyped] = useState(false)
  const [isWarned, setWarned] = useState(false)

  useLayoutEffect(() => {
    const before = document.activeElement
    return () => focusAgain(before)
  }, [])
  useEffect(() => {
    if (!isTyped) return
    const ask = (event: Event) => event.preventDefault()
    window.addEventListener('beforeunload', ask)
    return () => window.removeEventListener('beforeunload', ask)
  }, [isTyped])

  return (
    <Dialog
      open
      className="dialog"
      headerText={title}
      {...look}
      onBeforeClose={event => {
        if (!event.detail.escPressed || !(isTyped || isBusy)) return
        event.preventDefault()
        setWarned(isTyped)
      }}
      onClose={onClose}
      footer={
        <div className="dialog-foot">
          {isWarned && (
            <p className="odd" role="alert">
              What you typed is not sent. Cancel drops it.
            </p>
          )}
          {buttons}
        </div>
      }
    >
      <div className={`dialog-body ${className}`} onInput={() => setTyped(true)}>
        {children}
      </div>
    </Dialog>
  )
}
