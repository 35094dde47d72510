import { randomUUID } from 'node:crypto'
import { asHubError } from '../../kernel/error.ts'
import type { Log } from '../../kernel/log.ts'
import { type Clock, steadyClock } from '../../kernel/time.ts'
import type { Records } from '../../store/port.ts'
import { organizationErrors } from './errors.ts'
import { keptJob } from './kept.ts'
import { organizationLimits as limits } from './limits.ts'
import type { Cause, JobAction } from './model.ts'

/** One thing done to many mailboxes. It goes on after a restart where it was. */
export interface Job {
  readonly id: string
  readonly organization: string
  readonly action: JobAction
  readonly startedAt: number
  readonly endedAt?: number | undefined
  readonly total: number
  readonly done: number
  readonly failedCount: number
  /** The first failures; `failedCount` tells of all. */
  readonly failures: readonly { readonly mailbox: string; readonly cause: Cause }[]
  readonly isCancelled: boolean
}

export interface JobsOptions {
  readonly records: Pick<Records, 'list' | 'read' | 'write' | 'remove'>
  readonly clock: Clock
  readonly log: Log
  /** Does it to one mailbox; doing it twice does no harm. What it throws is the failure of that mailbox. */
  readonly act: (action: JobAction, mailbox: string, signal: AbortSignal) => Promise<void>
}

const area = 'groupware-job'
/** The mailboxes of a job are written once, apart from how far it came. */
const targetArea = 'groupware-job-targets'

/** Bulk actions with durable progress. */
export class Jobs {
  readonly #options: JobsOptions
  readonly #jobs = new Map<string, Job>()
  readonly #running = new Map<string, { readonly stop: AbortController; readonly ended: Promise<void> }>()
  readonly #stop = new AbortController()

  private constructor(options: JobsOptions) {
    this.#options = options
  }

  /** Reads the jobs there are and forgets old ones; `resume` lets those that have not ended go on. */
  static async open(options: JobsOptions): Promise<Jobs> {
    const jobs = new Jobs(options)
    const { records, clock } = options
    for (const { id, value } of await records.list(area)) {
      const job = keptJob.safeParse(value)
      const isOld = job.success && job.data.endedAt !== undefined && job.data.endedAt < clock.now() - limits.jobKeepMs
      if (job.success && !isOld) jobs.#jobs.set(id, job.data)
      else await jobs.#forget(id)
    }
    // A crash between two writes leaves targets without their job.
    for (const { id } of await records.list(targetArea)) {
      if (jobs.#jobs.get(id)?.endedAt !== undefined || !jobs.#jobs.has(id)) await records.remove(targetArea, id)
    }
    return jobs
  }

  list(): readonly Job[] {
    return [...this.#jobs.values()].toSorted((one, other) => other.startedAt - one.startedAt)
  }

  get(id: string): Job {
    const job = this.#jobs.get(id)
    if (!job) throw organizationErrors.JOB_UNKNOWN({ job: id.slice(0, 64) })
    return job
  }

  /** Durable when it resolves; the work goes on by itself. */
  async start(organization: string, action: JobAction, mailboxes: readonly string[]): Promise<Job> {
    const { records, clock } = this.#options
    const job: Job = {
      id: randomUUID(),
      organization,
      action,
      startedAt: clock.now(),
      total: mailboxes.length,
      done: 0,
      failedCount: 0,
      failures: [],
      isCancelled: false,
    }
    await records.write(targetArea, job.id, [...mailboxes])
    await this.#put(job)
    this.#run(job.id)
    return job
  }

  resume(): void {
    for (const job of this.#jobs.values()) if (job.endedAt === undefined) this.#run(job.id)
  }

  /** What was not begun stays as it is. */
  async cancel(id: string): Promise<Job> {
    const running = this.#running.get(id)
    if (this.get(id).endedAt !== undefined) return this.get(id)
    await this.#put({ ...this.get(id), isCancelled: true })
    running?.stop.abort()
    await running?.ended
    return this.get(id)
  }

  /** Resolves when the job has ended. */
  async ended(id: string): Promise<Job> {
    await this.#running.get(id)?.ended
    return this.get(id)
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await Promise.all([...this.#running.values()].map(({ ended }) => ended))
  }

  #run(id: string): void {
    if (this.#running.has(id)) return
    const stop = new AbortController()
    const signal = AbortSignal.any([stop.signal, this.#stop.signal])
    const ended = this.#work(id, signal)
      .catch((thrown: unknown) => {
        const error = asHubError(thrown)
        this.#options.log.error('groupware.job-stopped', { job: id, code: error.code, text: error.message })
      })
      .finally(() => this.#running.delete(id))
    this.#running.set(id, { stop, ended })
  }

  async #work(id: string, signal: AbortSignal): Promise<void> {
    const { records, clock, log, act } = this.#options
    const kept = (await records.read(targetArea, id))?.value
    const targets = Array.isArray(kept) ? kept.map(String) : []
    const { action } = this.get(id)
    const steady = steadyClock(clock)
    let storedAt = steady.now()
    // Only ends in order of their beginning count, failures too: nothing is left out, or told twice, after a crash.
    const pending = new Map<number, Promise<void>>()
    const ends = new Map<number, Failure | undefined>()
    let next = this.get(id).done
    let done = next
    const one = async (index: number, mailbox: string) => {
      let failure: Failure | undefined
      try {
        await act(action, mailbox, signal)
      } catch (thrown) {
        if (signal.aborted) return
        const { code, side, message, next: nextStep } = asHubError(thrown)
        failure = { mailbox, cause: { code, side, message, next: nextStep } }
      }
      ends.set(index, failure)
    }
    // What is told is what is stored: after a crash nobody sees it go back.
    const counted = (): Job => {
      let job = this.get(id)
      for (; ends.has(done); done++) {
        const failure = ends.get(done)
        ends.delete(done)
        if (failure) job = withFailure(job, failure)
      }
      return { ...job, done }
    }
    while ((next < targets.length && !signal.aborted) || pending.size > 0) {
      while (next < targets.length && pending.size < limits.jobParallel && !signal.aborted) {
        const index = next++
        pending.set(
          index,
          one(index, targets[index] ?? '').finally(() => pending.delete(index)),
        )
      }
      await Promise.race(pending.values())
      if (steady.now() - storedAt >= limits.jobStoreMs) {
        storedAt = steady.now()
        await this.#put(counted())
      }
    }
    const job = counted()
    const isOver = done >= targets.length || job.isCancelled
    await this.#put(isOver ? { ...job, endedAt: clock.now() } : job)
    if (!isOver) return
    await records.remove(targetArea, id)
    const { organization, failedCount, total } = job
    log.info('groupware.job-ended', { job: id, organization, action, done, total, failed: failedCount })
  }

  async #put(job: Job): Promise<void> {
    this.#jobs.set(job.id, job)
    await this.#options.records.write(area, job.id, JSON.parse(JSON.stringify(job)))
  }

  async #forget(id: string): Promise<void> {
    await this.#options.records.remove(area, id)
    await this.#options.records.remove(targetArea, id)
  }
}

type Failure = Job['failures'][number]

function withFailure(job: Job, failure: Failure): Job {
  const isRoom = job.failures.length < limits.jobFailures
  const failures = isRoom ? [...job.failures, failure] : job.failures
  return { ...job, failures, failedCount: job.failedCount + 1 }
}
