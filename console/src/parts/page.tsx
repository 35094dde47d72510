import { Title } from '@ui5/webcomponents-react'
import { type ReactNode, useEffect } from 'react'
import { hasMoved, hrefOf } from '../route.ts'
import { focusAgain } from './focus.ts'

interface PageProps {
  readonly title: string
  /** What this is about, in a line under the title. */
  readonly about?: ReactNode
  /** Beside the title: the state of the thing. */
  readonly state?: ReactNode
  readonly actions?: ReactNode
  /** The page above: its path and its name. */
  readonly above?: readonly [path: string, name: string]
  readonly children: ReactNode
}

/** The frame of every page: where one is, what it is about, what can be done. */
export function Page({ title, about, state, actions, above, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · Isthmus`
  }, [title])
  useEffect(() => {
    // The link that led here is gone; who has only just come begins at the top, with the way to the content.
    if (hasMoved() && document.activeElement === document.body) focusAgain(null)
  }, [])
  return (
    <main className="page" id="content" tabIndex={-1} aria-label={title}>
      <header className="page-head">
        <div className="page-title">
          {above && (
            <nav aria-label="Breadcrumb" className="crumb">
              <a href={hrefOf(above[0])}>{above[1]}</a>
              <span aria-hidden="true">/</span>
            </nav>
          )}
          <div className="title-row">
            <Title level="H1" size="H2" wrappingType="Normal">
              {title}
            </Title>
            {state}
          </div>
          {about !== undefined && <p className="about">{about}</p>}
        </div>
        {actions !== undefined && <div className="actions">{actions}</div>}
      </header>
      {children}
    </main>
  )
}

interface CardProps {
  readonly title: string
  /** Beside the title: a count, a link. */
  readonly aside?: ReactNode
  readonly className?: string
  readonly children: ReactNode
}

/** A part of a page under a heading of its own. */
export function Card({ title, aside, className = '', children }: CardProps) {
  return (
    <section className={`card ${className}`} aria-label={title}>
      <header className="card-head">
        <Title level="H2" size="H5">
          {title}
        </Title>
        {aside !== undefined && <div className="card-aside">{aside}</div>}
      </header>
      {children}
    </section>
  )
}
