import { defineErrors, HubError } from '../../kernel/error.ts'
import { silentLog } from '../../kernel/log.ts'
import { type Clock, systemClock } from '../../kernel/time.ts'
import type { Scope, SideDriver } from '../drivers.ts'
import { defaultRules, type SyncRules } from '../plan/rules.ts'
import { randomOf } from '../random-world.ts'
import { type Decision, type RoundContext, syncLimits } from './context.ts'
import { ModelBackup } from './model-backup-world.ts'
import { type Broken, breakSides, brokenStore } from './model-broken-world.ts'
import { ModelPeople } from './model-people-world.ts'
import { judge } from './model-verdict-world.ts'
import { runRound } from './round.ts'
import type { RoundReport } from './round-state.ts'
import { feedLimits, withSharedFeed } from './shared-feed.ts'
import { calm, type Surroundings, WorldCrm, WorldMailbox } from './sides-world.ts'
import type { SyncStore } from './sync-store.ts'

/**
 * The model-based run: the product's own planner, rounds and store between a mailbox and a CRM in memory. A schedule is
 * thirty random steps: edits and deletions on both sides, moves and copies, lost tokens, rounds that crash between any
 * two effects, lost answers, requests that are carried out late, feeds that are late, doubled and out of order, edits that
 * race inside a round. At the end both sides must be equal, and nothing lost, doubled, resurrected or written for ever.
 * Where the books are those of a backup, or new ones, nobody can know of all that was deleted or edited since.
 */
export interface ScheduleOptions {
  readonly steps?: number
  /** Only these steps are done (for shrinking); the others are passed over with the same randomness. */
  readonly only?: ReadonlySet<number>
  /** Breaks the sides or the store in one respect, to show that the run would notice. */
  readonly broken?: Broken
  /** Towards the end the books are brought back from an early step, or lost. */
  readonly books?: 'older' | 'lost'
}

export interface Verdict {
  /** What is wrong at the end; empty when all is well. */
  readonly faults: readonly string[]
  /** What happened, a line per step. */
  readonly story: readonly string[]
}

const modelErrors = defineErrors('MODEL', {
  CUT: { side: 'receiver', retry: 'soon', means: 'The answer was lost.', next: 'Nothing.', isOutcomeUnknown: true },
})

class Crash extends Error {}

const lagMsMax = 2000
const lateMs = 5000
const backupSteps = { keep: 9, bringBack: 24 } as const
/** What can happen where the books are not of now; that both sides are equal, and nothing is doubled, holds all the same. */
const unknowable: ReadonlySet<string> = new Set(['update lost', 'undead', 'item lost'])

/** Leaves steps out of a failing schedule as long as it fails the same way; what is left. */
export async function shrinkSchedule(store: SyncStore, seed: number, options: ScheduleOptions = {}): Promise<Verdict> {
  const { steps = 30 } = options
  let only = new Set(Array.from({ length: steps }, (_, step) => step))
  let verdict = await runSchedule(store, seed, { ...options, only })
  const [kind] = verdict.faults
  for (let pass = 0; pass < 3; pass += 1) {
    for (const step of [...only].toReversed()) {
      const fewer = new Set([...only].filter(one => one !== step))
      const shorter = await runSchedule(store, seed, { ...options, only: fewer })
      if (kind === undefined || !shorter.faults.includes(kind)) continue
      only = fewer
      verdict = shorter
    }
  }
  return verdict
}

/** Runs one schedule on a store; its scope is forgotten afterwards. */
export async function runSchedule(store: SyncStore, seed: number, options: ScheduleOptions = {}): Promise<Verdict> {
  const schedule = new Schedule(store, seed, options)
  return schedule.run()
}

class Schedule {
  readonly #seed: number
  #random: () => number
  readonly #around: Surroundings
  readonly #mailbox: WorldMailbox
  readonly #crm: WorldCrm
  readonly #people: ModelPeople
  readonly #isFeedShared: boolean
  /** The CRM behind a shared feed; what the feed has kept goes with a crash. */
  #sharedCrm: SideDriver | undefined
  readonly #store: SyncStore
  readonly #scope: Scope
  readonly #rules: SyncRules
  readonly #options: ScheduleOptions
  readonly #backup: ModelBackup | undefined
  readonly #story: string[] = []
  #late: { readonly at: number; readonly write: () => void }[] = []
  /** Effects until the crash; 0: none. */
  #crashIn = 0
  #race: { in: number; left: number } | undefined
  #cutIn = 0

  constructor(store: SyncStore, seed: number, options: ScheduleOptions) {
    this.#seed = seed
    this.#random = randomOf(seed)
    this.#options = options
    this.#around = {
      ...calm(),
      onRequest: (side, name) => this.#effect(`${side} ${name}`),
      cutAfter: (_side, count) => this.#cutAfter(count),
      delays: (_side, write) => this.#delays(write),
    }
    this.#mailbox = new WorldMailbox(this.#around)
    this.#crm = new WorldCrm(this.#around)
    this.#people = new ModelPeople(this.#mailbox, this.#crm, lagMsMax)
    this.#crm.staleMs = this.#random() < 0.3 ? 1500 : 0
    const mailbox = `${seed}@x.example`
    const place = { organization: 'model', mailbox, owner: mailbox, folders: [], from: null, to: null }
    this.#scope = { ...place, kind: 'appointment' }
    const conflict = (['newest', 'exchange', 'crm'] as const)[Math.floor(this.#random() * 3)] ?? 'crm'
    const kinds = {
      ...defaultRules.kinds,
      appointment: { ...defaultRules.kinds.appointment, conflict, pastMs: undefined },
    }
    this.#rules = { ...defaultRules, kinds, brake: { freeCount: 1000, share: 1 } }
    const found = options.broken ? brokenStore(store, options.broken) : store
    this.#backup = options.books ? new ModelBackup(found, this.#scope) : undefined
    this.#store = this.#backup?.store ?? found
    this.#crm.owner = mailbox
    this.#isFeedShared = this.#random() < 0.5
    if (options.broken) breakSides(this.#mailbox, this.#crm, options.broken)
  }

  async run(): Promise<Verdict> {
    const { steps = 30, only } = this.#options
    for (let step = 0; step < steps; step += 1) {
      // Each step has randomness of its own, so that leaving one out changes no other.
      this.#random = randomOf(Math.imul(this.#seed, 1_000_003) + step)
      if (only && !only.has(step)) continue
      await this.#step(step, this.#random)
    }
    this.#around.now += lagMsMax + lateMs
    await this.#settle(8)
    const before = this.#mailbox.writeCount + this.#crm.writeCount
    await this.#settle(1)
    await this.#settle(1)
    const writes = this.#mailbox.writeCount + this.#crm.writeCount - before
    const found = [...(writes > 0 ? ['writes for ever'] : []), ...judge(this.#mailbox, this.#crm, this.#people)]
    const faults = [...new Set(found)].filter(fault => !this.#backup || !unknowable.has(fault))
    await this.#store.forget(this.#scope)
    return { faults, story: this.#story }
  }

  async #step(step: number, random: () => number): Promise<void> {
    this.#around.now += Math.floor(random() * 1500)
    this.#runLate()
    const dice = random()
    const tell = (text: string) => this.#story.push(`${step}: ${text}`)
    if (this.#backup && step === backupSteps.keep && this.#options.books === 'older') {
      await this.#backup.keep()
      tell('a backup of the books')
    } else if (this.#backup && step === backupSteps.bringBack) {
      // Nobody restores within seconds of a request that was lost.
      this.#around.now += lateMs
      this.#runLate()
      this.#sharedCrm = undefined
      await this.#backup.bringBack()
      tell(`the books are ${this.#options.books}`)
    } else if (dice < 0.14) tell(this.#people.addSome(random))
    else if (dice < 0.52) tell(this.#people.editSome(random, random() < 0.5 ? this.#mailbox : this.#crm))
    else if (dice < 0.58) tell(this.#people.dropSome(random))
    else if (dice < 0.61) {
      this.#mailbox.loseState()
      tell('exchange loses its SyncState')
    } else if (dice < 0.63) tell(this.#people.moveSome(random))
    // What a copy of an item is that the CRM does not name yet, old books cannot say.
    else if (dice < 0.64) tell(this.#backup ? 'nothing' : this.#people.copySome(random))
    else if (dice < 0.71) {
      tell('rounds until all is settled')
      this.#around.now += lagMsMax + lateMs
      await this.#settle(7)
      this.#people.markSettled()
    } else {
      this.#crashIn = random() < 0.5 ? 1 + Math.floor(random() * 40) : 0
      this.#cutIn = random() < 0.2 ? 1 + Math.floor(random() * 3) : 0
      this.#race =
        random() < 0.5 ? { in: 1 + Math.floor(random() * 24), left: 1 + Math.floor(random() * 2) } : undefined
      this.#mailbox.isDisorderly = random() < 0.3
      const plan = { crashIn: this.#crashIn, cutIn: this.#cutIn, race: this.#race?.in }
      tell(`a round ${JSON.stringify(plan)}`)
      await this.#round()
      this.#crashIn = 0
      this.#cutIn = 0
      this.#race = undefined
      this.#mailbox.isDisorderly = false
    }
  }

  // ---- rounds

  async #round(): Promise<RoundReport | undefined> {
    try {
      return await runRound(this.#context())
    } catch (thrown) {
      if (thrown instanceof Crash) {
        this.#sharedCrm = undefined
        this.#story.push(`   crashed ${thrown.message}`)
      } else if (thrown instanceof HubError) this.#story.push(`   ended with ${thrown.code}`)
      else throw thrown
      return undefined
    }
  }

  #context(): RoundContext {
    const clock = { ...systemClock, now: () => this.#around.now }
    return {
      scope: this.#scope,
      drivers: { exchange: this.#mailbox, crm: this.#crmDriver(clock) },
      store: this.#watchedStore(),
      rules: this.#rules,
      clock,
      signal: new AbortController().signal,
      newKey: () => this.#people.next('L'),
      limits: { ...syncLimits, keysEveryMs: 0, tokenRestMs: 3000, lateMs, chunkItems: 4 },
      log: silentLog,
      journal: decision => this.#story.push(`   ${describeDecision(decision)}`),
    }
  }

  #crmDriver(clock: Clock): SideDriver {
    if (!this.#isFeedShared) return this.#crm
    this.#sharedCrm ??= withSharedFeed(this.#crm, clock, { ...feedLimits, freshMs: 1000, keptMs: 20_000 })
    return this.#sharedCrm
  }

  /** Rounds in calm until one has nothing to do; at most so many. */
  async #settle(roundsMax: number): Promise<void> {
    for (let count = 0; count < roundsMax; count += 1) {
      this.#around.now += 4000
      this.#runLate()
      const written = this.#mailbox.writeCount + this.#crm.writeCount
      const report = await this.#round()
      const isQuiet =
        report &&
        !report.isUnfinished &&
        report.openIntents === 0 &&
        this.#mailbox.writeCount + this.#crm.writeCount === written
      if (isQuiet && this.#late.length === 0) return
    }
  }

  /** The store, whose writes are effects, too. */
  #watchedStore(): SyncStore {
    const store = this.#store
    return {
      ...store,
      write: async (scope, change) => {
        this.#effect('store write')
        await store.write(scope, change)
        this.#effect('store write')
      },
    }
  }

  #effect(name: string): void {
    if (this.#race && this.#race.left > 0) {
      this.#race.in -= 1
      if (this.#race.in <= 0) {
        this.#race.left -= 1
        this.#story.push(
          `   meanwhile ${this.#people.editSome(this.#random, this.#random() < 0.5 ? this.#mailbox : this.#crm)}`,
        )
      }
    }
    if (this.#crashIn === 0) return
    this.#crashIn -= 1
    if (this.#crashIn === 0) throw new Crash(`at ${name}`)
  }

  #cutAfter(count: number): number | undefined {
    if (this.#cutIn === 0) return undefined
    this.#cutIn -= 1
    if (this.#cutIn > 0) return undefined
    const done = Math.floor(this.#random() * (count + 1))
    this.#cut = true
    return done
  }

  #cut = false

  #delays(write: () => void): boolean {
    if (!this.#cut) return false
    this.#cut = false
    const isLate = this.#random() < 0.5
    if (isLate) this.#late.push({ at: this.#around.now + 1 + Math.floor(this.#random() * (lateMs - 1000)), write })
    else write()
    throw modelErrors.CUT()
  }

  #runLate(): void {
    const due = this.#late.filter(({ at }) => at <= this.#around.now)
    this.#late = this.#late.filter(({ at }) => at > this.#around.now)
    for (const { write } of due) {
      this.#story.push('   a late request is carried out')
      write()
    }
  }
}

function describeDecision({ what, side, exchangeId, crmId, reason, fields, winner, error }: Decision): string {
  const rest = [reason, fields?.join(' '), winner && `${winner} wins`, error?.code].filter(Boolean).join(', ')
  return `${what} in ${side} ${exchangeId ?? '?'} ~ ${crmId ?? '?'} ${rest}`
}
