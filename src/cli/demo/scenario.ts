import type { Log } from '../../kernel/log.ts'
import type { BeforeFlows, Hub } from '../../main.ts'
import type { Twin } from '../../twins/twin.ts'

/** One example with the twins around it, and somebody who uses it. */
export interface Scenario {
  /** Name of the flow, and of its folder below examples/. */
  readonly flow: string
  /** Where an example has several flows: their documents and parameters, and those that bring things in from outside. */
  readonly parts?: {
    readonly flowFiles: readonly string[]
    readonly params: Readonly<Record<string, Readonly<Record<string, unknown>>>>
    readonly counted: readonly string[]
  }
  readonly twins: readonly Twin[]
  /** Parameters that only the running twins know. */
  readonly params: Readonly<Record<string, unknown>>
  /** Creates what the flow names, before it starts. */
  prepare(parts: BeforeFlows): Promise<void>
  /** The hub stands and its flows run; for those who call it. */
  begin?(hub: Pick<Hub, 'endpointsUrl'>): void
  /** What stands between the hub and the twins, for the lines at the start. */
  tellSetting?(): readonly string[]
  /** Lets one thing happen at the outside, with so many milliseconds left of the run; returns a line for the terminal. */
  act(leftMs: number): string
  /** How long between two of them, milliseconds. */
  readonly everyMs: number
  /** How many things were sent into the flow so far. */
  sent(): number
  /** Things that are not (yet) where they belong, changed, or there twice; empty when all is well. */
  findings(): readonly string[]
  /** What came of it, where no flow counts it. */
  counts?(): { readonly accepted: number; readonly delivered: number; readonly setAside: number }
  /** What is worth a line at the end beside the counts. */
  tellOutcome?(): readonly string[]
  /** Ends what the scenario started beside its twins; the hub has ended by then. */
  close?(): Promise<void>
}

export interface ScenarioWorld {
  /** PEM of the certificate that every twin shows; its authority is trusted by this process. */
  readonly tls: { readonly cert: string; readonly key: string }
  /** For what a scenario keeps on the disk. */
  readonly folder: string
  /** The log of a machine beside the hub. */
  logOf(machine: string): Log
}
