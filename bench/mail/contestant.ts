import type { Need } from '../../test/foreign/servers/needs.ts'

/** Where a client is sent: one mailbox to read, one sink to fill, one folder of its own for settings and state. */
export interface Course {
  readonly imapsPort: number
  /** The mail server's certificate, a PEM file. */
  readonly caFile: string
  readonly user: string
  readonly password: string
  readonly sinkPort: number
  readonly recipient: string
  readonly folder: string
}

/** A process to start. Its wall time and CPU count from here, so preparation belongs before it. */
interface Command {
  readonly program: string
  readonly args: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

/** A mail client of the comparison. All read by IMAPS and hand over to the same kind of sink in memory. */
export interface Contestant {
  readonly name: string
  /** One line for the report: what it is and how it was set. */
  readonly setting: string
  readonly needs: readonly Need[]
  readonly sink: 'smtp' | 'lmtp'
  /** False for a server, which is stopped once it has marked the last mail. */
  readonly endsItself: boolean
  prepare(course: Course): Promise<Command>
}
