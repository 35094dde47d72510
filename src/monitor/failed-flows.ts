import type { Engine } from '../engine/control.ts'
import type { LoadedFlow } from '../flow/document.ts'
import { asHubError, type HubError } from '../kernel/error.ts'
import type { Log } from '../kernel/log.ts'
import type { Clock } from '../kernel/time.ts'

interface Failed {
  readonly name: string
  /** Its document. */
  readonly file: string
  readonly since: number
  readonly error: HubError
}

/** Flows that should run and could not be started, until they run or somebody stops them. */
export class FailedFlows {
  readonly list: Failed[] = []
  readonly #clock: Pick<Clock, 'now'>
  readonly #log: Log

  constructor(clock: Pick<Clock, 'now'>, log: Log) {
    this.#clock = clock
    this.#log = log
  }

  /** Notes what was thrown, and throws it as an error of the hub. */
  note(name: string, file: string, thrown: unknown): never {
    const error = asHubError(thrown)
    this.forget(name)
    this.list.push({ name, file, since: this.#clock.now(), error })
    this.#log.error('flow.not-started', { flow: name, code: error.code, text: error.message, next: error.next })
    throw error
  }

  forget(name: string): void {
    this.#remove(this.list.findIndex(failed => failed.name === name))
  }

  /** Starts a flow, and notes it where it does not run then. */
  async start(engine: Pick<Engine, 'start' | 'flows'>, flow: LoadedFlow): Promise<void> {
    try {
      await engine.start(flow)
    } catch (thrown) {
      // One that runs on as it was is told to who asked; no alert may say that it does not run.
      if (engine.flows().some(running => running.flow.name === flow.name)) throw thrown
      this.note(flow.name, flow.file, thrown)
    }
    // It may have had another name when it did not start.
    this.#remove(this.list.findIndex(({ file }) => file === flow.file))
  }

  #remove(at: number): void {
    if (at >= 0) this.list.splice(at, 1)
  }
}
