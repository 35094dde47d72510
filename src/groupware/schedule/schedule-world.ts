import { DueHeap } from './due-heap.ts'
import { type ScheduleLimits, scheduleLimits } from './limits.ts'
import { type Ending, Schedule, type Turn } from './schedule.ts'

/** What a turn does in a simulation: how long it takes and how it ends. */
export type Behaviour = (turn: Turn, now: number) => { readonly takesMs: number; readonly ending: Ending }

export interface Done {
  readonly turn: Turn
  readonly at: number
  readonly ending: Ending
}

export const quick: Behaviour = () => ({ takesMs: 100, ending: { state: 'done', again: false } })

/** A schedule under simulated time: nothing waits, a day of 10,000 mailboxes passes in seconds. */
export class SimulatedSchedule {
  readonly schedule: Schedule
  readonly started: Turn[] = []
  readonly done: Done[] = []
  now = 0
  behave: Behaviour = quick
  runningMax = 0
  readonly #ends = new DueHeap<{ readonly turn: Turn; readonly ending: Ending }>()

  constructor(limits: Partial<ScheduleLimits> = {}, seed = 1) {
    let state = seed
    const random = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return state / 2 ** 32
    }
    this.schedule = new Schedule({ ...scheduleLimits, ...limits }, random)
  }

  add(organization: string, count: number, isFirst = false): void {
    for (let number = 0; number < count; number += 1) {
      this.schedule.add({ organization, mailbox: `${number}@${organization}` }, this.now, isFirst)
    }
  }

  /** Lets time pass. */
  run(ms: number): void {
    const until = this.now + ms
    for (;;) {
      for (let turn = this.schedule.next(this.now); turn; turn = this.schedule.next(this.now)) this.#start(turn)
      this.runningMax = Math.max(this.runningMax, this.schedule.runningCount)
      const next = Math.min(this.schedule.nextAt(this.now) ?? Infinity, this.#ends.nextAt() ?? Infinity)
      if (next > until) break
      this.now = Math.max(this.now, next)
      for (let end = this.#ends.takeDue(this.now); end; end = this.#ends.takeDue(this.now)) {
        this.schedule.end(end.turn, end.ending, this.now)
        this.done.push({ ...end, at: this.now })
      }
    }
    this.now = until
  }

  countOf(organization: string): number {
    return this.done.filter(({ turn }) => turn.organization === organization).length
  }

  #start(turn: Turn): void {
    this.started.push(turn)
    const { takesMs, ending } = this.behave(turn, this.now)
    this.#ends.set({ turn, ending }, this.now + takesMs)
  }
}
