import type { z } from 'zod'
import type { FlowStatus } from '../engine/control.ts'
import { asHubError, type HubError } from '../kernel/error.ts'
import type { ApiParts, LoadingEntry } from './parts.ts'
import type { errorView, reloadView } from './views.ts'

export type ReloadedFlow = z.output<typeof reloadView>['flows'][number]

type Parts = Pick<ApiParts, 'engine' | 'catalog'>

export interface ReloadHow {
  readonly isDryRun: boolean
  /** The flows of a folder without any document are stopped, too. */
  readonly allowsEmpty?: boolean
}

/** One reload after the other: the second finds what the first has done. */
let turn: Promise<unknown> = Promise.resolve()

/**
 * Brings the flows to what the documents say now, as a restart of the hub would, without touching those that are the
 * same. One whose new document has mistakes runs on as it was. Throws when the documents cannot be looked for.
 */
export function reloadFlows(parts: Parts, how: ReloadHow): Promise<readonly ReloadedFlow[]> {
  const reloaded = turn.then(() => reload(parts, how))
  turn = reloaded.catch(() => {})
  return reloaded
}

async function reload({ engine, catalog }: Parts, how: ReloadHow): Promise<readonly ReloadedFlow[]> {
  const { isDryRun } = how
  const entries = (await catalog.loadAll(how)).map(entry => ({ ...entry, name: nameOf(entry) }))
  const names = new Set(entries.map(({ name }) => name))
  const reloaded: ReloadedFlow[] = []
  // First those that go: another one may want their mailbox or their path, also under a new name.
  for (const { flow } of engine.flows()) {
    if (names.has(flow.name)) continue
    await note(flow.name, async () => {
      if (!isDryRun) await engine.stop(flow.name)
      return 'stopped'
    })
  }
  for (const { name, flow: read } of entries) {
    await note(name, async () => {
      const flow = read()
      // The flows before it took their time, and somebody may have stopped this one meanwhile.
      if (!(await catalog.shouldRun(name))) return 'left-stopped'
      const before = running(name)
      if (before?.flow.revision === flow.revision) return 'unchanged'
      if (!isDryRun) await engine.start(flow)
      return before ? 'restarted' : 'started'
    })
  }
  return reloaded.toSorted((a, b) => (a.name < b.name ? -1 : 1))

  /** A document that tells no name any more (half written, in a conflict) has mistakes, and is that of its flow all the same. */
  function nameOf({ name, file }: LoadingEntry): string {
    if (name !== file) return name
    return engine.flows().find(({ flow }) => flow.file === file)?.flow.name ?? name
  }

  function running(name: string): FlowStatus | undefined {
    return engine.flows().find(({ flow }) => flow.name === name)
  }

  async function note(name: string, act: () => Promise<ReloadedFlow['outcome']>): Promise<void> {
    const found = await act().then(
      outcome => ({ outcome }),
      (thrown: unknown) => ({ outcome: 'failed' as const, error: viewError(asHubError(thrown)) }),
    )
    reloaded.push({ name, ...found, runs: running(name) !== undefined })
  }
}

function viewError({ code, side, message, next }: HubError): z.output<typeof errorView> {
  return { code, side, message, next }
}
