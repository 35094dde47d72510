import { Button } from '@ui5/webcomponents-react'
import { Component, type ReactNode } from 'react'
import { Page } from './page.tsx'

interface BoundaryProps {
  readonly children: ReactNode
}

interface BoundaryState {
  readonly failure?: Error
}

/** Says that a page could not be shown, and how to get it: mostly the hub was renewed under an open console. */
export class Boundary extends Component<BoundaryProps, BoundaryState> {
  override state: BoundaryState = {}

  static getDerivedStateFromError(thrown: unknown): BoundaryState {
    return { failure: thrown instanceof Error ? thrown : new Error(String(thrown)) }
  }

  override render(): ReactNode {
    const { failure } = this.state
    if (!failure) return this.props.children
    return (
      <Page title="This page cannot be shown">
        <p className="note">
          The hub may run another version by now, or does not answer. Load the page again; if it stays, report it with
          this line: <code>{failure.message}</code>
        </p>
        <div className="actions">
          <Button design="Emphasized" onClick={() => location.reload()}>
            Load again
          </Button>
        </div>
      </Page>
    )
  }
}
