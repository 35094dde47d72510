import type { ReactNode } from 'react'

/** What is known of a thing, a name and a value each; a value that is undefined is left out. */
export function Facts({ of: facts }: { readonly of: readonly (readonly [name: string, value: ReactNode])[] }) {
  return (
    <dl className="facts">
      {facts
        .filter(([, value]) => value !== undefined)
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  )
}

/** A figure with its name, as a link where it leads somewhere. */
export function Figure(props: {
  readonly value: string
  readonly name: string
  readonly tone?: 'bad' | 'odd' | undefined
  readonly href?: string | undefined
}) {
  const { value, name, tone, href } = props
  const inside = (
    <>
      <span className={`figure-value ${tone ?? ''}`}>{value}</span>
      <span className="figure-name">{name}</span>
    </>
  )
  return href === undefined ? (
    <div className="figure">{inside}</div>
  ) : (
    <a className="figure" href={href}>
      {inside}
    </a>
  )
}

/** Says that there is nothing, and what would be here. */
export function Nothing({ title, children }: { readonly title: string; readonly children?: ReactNode }) {
  return (
    <div className="nothing">
      <p className="nothing-title">{title}</p>
      {children !== undefined && <p>{children}</p>}
    </div>
  )
}
