import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { Log } from '../../kernel/log.ts'
import { type Clock, DAY } from '../../kernel/time.ts'
import type { Records } from '../../store/port.ts'
import type { ItemKind } from '../plan/items.ts'
import { defaultRules } from '../plan/rules.ts'
import type { HeldDecision } from '../sync/held-deletions.ts'
import { openSyncStore } from '../sync/sqlite-sync-store.ts'
import type { AccessTest } from './access-test.ts'
import { bookFiles } from './book-files.ts'
import { Directory } from './directory.ts'
import { DriverBook, type OpenDrivers } from './driver-book.ts'
import { organizationErrors } from './errors.ts'
import { type Explanation, explainItem } from './explain.ts'
import { type HeldPage, type HeldRequest, listHeldOf } from './held-list.ts'
import { targetsOf } from './job-targets.ts'
import { type Job, Jobs } from './jobs.ts'
import { Journal, type JournalLine, type JournalRequest } from './journal.ts'
import { organizationLimits as limits } from './limits.ts'
import { MailboxActions } from './mailbox-actions.ts'
import { type ReadList, readMailboxList } from './mailbox-list.ts'
import type { Cause, JobAction, Mailbox, MailboxState, Organization, Profile, Progress } from './model.ts'
import type { MailboxInput } from './organization-input.ts'
import type { GroupwareParts } from './parts.ts'
import { type Preview, previewMailbox } from './preview.ts'
import { ProgressBook } from './progress-book.ts'
import type { RulesInput } from './rules-input.ts'
import { type AccountStatus, SyncLoop } from './sync-loop.ts'
import { Worker } from './worker.ts'

/** Ghosts of deleted items are kept for so long; no side tells of a change later than that. */
const ghostKeepMs = 180 * DAY

export interface GroupwareOptions {
  readonly records: Pick<Records, 'read' | 'list' | 'write' | 'remove'>
  readonly clock: Clock
  readonly log: Log
  /** Folder of the hub's data; `:memory:` keeps links and logs nowhere. */
  readonly dataFolder: string
  readonly openDrivers: OpenDrivers
  readonly random?: () => number
}

/** What the monitor sees of an organization. */
export interface WatchedOrganization {
  readonly name: string
  readonly isPaused: boolean
  readonly counts: Readonly<Record<MailboxState, number>>
  readonly account: AccountStatus
  readonly totals: {
    readonly itemsIn: number
    readonly itemsOut: number
    readonly conflicts: number
    readonly refused: number
    /** Deletions that wait for the word of a person. */
    readonly held: number
  }
  /** The mailbox that has been in error for the longest time. */
  readonly inError: (Cause & { readonly mailbox: string; readonly since: number }) | undefined
}

export interface ListOutcome extends ReadList {
  /** Mailboxes that are new to the organization, and that it had already. */
  readonly added: readonly string[]
  readonly changed: readonly string[]
}

/** The groupware sync of this hub: who is synced, how, and how it goes. */
export class Groupware {
  readonly #options: GroupwareOptions
  readonly #parts: GroupwareParts
  readonly #worker: Worker
  readonly #actions: MailboxActions
  readonly #loop: SyncLoop
  readonly #jobs: Jobs
  readonly #stop = new AbortController()

  private constructor(
    options: GroupwareOptions,
    parts: GroupwareParts,
    worker: Worker,
    actions: MailboxActions,
    loop: SyncLoop,
    jobs: Jobs,
  ) {
    this.#options = options
    this.#parts = parts
    this.#worker = worker
    this.#actions = actions
    this.#loop = loop
    this.#jobs = jobs
  }

  /** Opens what is kept; nothing is synced before `start`. Throws ORGANIZATION_STORE_UNREADABLE. */
  static async open(options: GroupwareOptions): Promise<Groupware> {
    const { records, clock, log, dataFolder } = options
    const fileOf = (book: string) => (dataFolder === ':memory:' ? ':memory:' : join(dataFolder, book))
    const directory = await Directory.open({ records, clock })
    const progress = await ProgressBook.open(records, clock, log)
    const drivers = new DriverBook(
      options.openDrivers,
      ({ profile }) => directory.profile(profile).rules.markCategory ?? defaultRules.markCategory,
    )
    const store = openSyncStore({ file: fileOf(bookFiles.links) })
    const journal = new Journal({
      file: fileOf(bookFiles.log),
      onLost: (count, { message: text }) => log.warn('groupware.log-not-stored', { count, text }),
    })
    const parts: GroupwareParts = { directory, drivers, store, journal, progress, clock, log }
    const worker = new Worker(parts)
    const loop = new SyncLoop(parts, worker, options.random ?? Math.random)
    const actions = new MailboxActions(parts, worker, mailbox => loop.follow(mailbox))
    const act = actions.act.bind(actions)
    const jobs = await Jobs.open({ records, clock, log, act })
    return new Groupware(options, parts, worker, actions, loop, jobs)
  }

  /** Mailboxes are synced from now on, and jobs go on that a stop interrupted. */
  async start(): Promise<void> {
    const { directory, store, clock } = this.#parts
    // A test that a stop interrupted is no state to stay in; the job that began it does it again.
    for (const { address, state } of directory.mailboxes()) {
      if (state === 'testing') await directory.setState(address, 'not-activated')
    }
    await store.purgeGhosts(clock.now() - ghostKeepMs)
    this.#loop.start(await store.openWork())
    this.#jobs.resume()
  }

  async close(): Promise<void> {
    this.#stop.abort()
    // A job may wait for a round, which ends early when it is told to.
    await Promise.all([this.#jobs.close(), this.#loop.close()])
    await this.#parts.drivers.close()
    await this.#parts.progress.close()
    this.#parts.journal.close()
    await this.#parts.store.close()
  }

  // ---- organizations ----

  organizations(): readonly Organization[] {
    return this.#parts.directory.organizations()
  }

  organization(name: string): Organization {
    return this.#parts.directory.organization(name)
  }

  /** Saves a new organization. Its access is tested when there is a mailbox to test it with. */
  async createOrganization(name: string, given: unknown): Promise<Organization> {
    const draft = this.#parts.directory.draft(name, given)
    this.#refuseOver(draft)
    return this.#parts.directory.create(draft)
  }

  /** Saves all settings. Where the way into the mailboxes is another one, a job has their links go over to it. */
  async updateOrganization(
    name: string,
    given: unknown,
    revision?: number,
  ): Promise<{ readonly organization: Organization; readonly move: Job | undefined }> {
    const { directory, drivers } = this.#parts
    const before = directory.organization(name)
    const draft = directory.draft(name, given)
    this.#refuseOver(draft)
    const organization = await directory.update({ ...draft, revision: revision ?? before.revision })
    drivers.dropAll(name)
    const isOtherWay = (before.access === 'graph') !== (organization.access === 'graph')
    const move = isOtherWay ? await this.startJob(name, 'move', 'all') : undefined
    this.#loop.resume(name)
    const hasOtherItems = before.profile !== organization.profile || before.crm.visits !== organization.crm.visits
    if (hasOtherItems) this.#loop.refresh(name)
    return { organization, move }
  }

  async setPaused(name: string, isPaused: boolean): Promise<Organization> {
    const organization = await this.#parts.directory.setPaused(name, isPaused)
    for (const mailbox of this.#parts.directory.mailboxes(name)) this.#loop.follow(mailbox)
    return organization
  }

  async removeOrganization(name: string): Promise<void> {
    await this.#parts.directory.removeOrganization(name)
    this.#parts.drivers.dropAll(name)
  }

  /** Tests the access with one mailbox: the named one, the organization's test mailbox, or its first. */
  async testOrganization(name: string, address?: string): Promise<AccessTest> {
    const { directory } = this.#parts
    const { testMailbox } = directory.organization(name)
    const wanted = address ?? testMailbox ?? directory.mailboxes(name)[0]?.address
    if (wanted === undefined) throw organizationErrors.NO_MAILBOX_TO_TEST({ organization: name })
    const known = directory.findMailbox(wanted)
    // A mailbox that nobody added can be tested, too.
    const mailbox: Mailbox =
      known?.organization === name
        ? known
        : {
            address: wanted,
            organization: name,
            crmAddress: wanted,
            auth: undefined,
            rules: {},
            state: 'not-activated',
            stateSince: 0,
            cause: undefined,
            revision: 0,
          }
    return this.#actions.test(mailbox, this.#stop.signal)
  }

  // ---- profiles ----

  profiles(): readonly Profile[] {
    return this.#parts.directory.profiles()
  }

  profile(name: string): Profile {
    return this.#parts.directory.profile(name)
  }

  /** Its rules count from the next round of each mailbox on, which comes soon. */
  async writeProfile(name: string, given: unknown, revision?: number): Promise<Profile> {
    const profile = await this.#parts.directory.writeProfile(name, given, revision)
    this.#refreshUsersOf(name)
    return profile
  }

  async removeProfile(name: string): Promise<void> {
    await this.#parts.directory.removeProfile(name)
    this.#refreshUsersOf(name)
  }

  // ---- mailboxes ----

  mailboxes(organization?: string): readonly Mailbox[] {
    if (organization !== undefined) this.#parts.directory.organization(organization)
    return this.#parts.directory.mailboxes(organization)
  }

  mailbox(address: string): Mailbox {
    return this.#parts.directory.mailbox(address)
  }

  progressOf(address: string): Progress {
    return this.#parts.progress.of(address)
  }

  rulesOf(mailbox: Mailbox) {
    return this.#parts.directory.rulesOf(mailbox)
  }

  async putMailbox(organization: string, input: MailboxInput, rules?: RulesInput): Promise<Mailbox> {
    const { directory } = this.#parts
    const mailbox = await directory.putMailbox(organization, input, rules === undefined ? {} : { rules })
    if (this.#worker.isSynced(mailbox)) this.#loop.request(mailbox)
    return mailbox
  }

  /** Adds a pasted list or a CSV, all of it or, where a line is wrong, none. `isDryRun` only looks. */
  async addList(organization: string, text: string, isDryRun: boolean): Promise<ListOutcome> {
    const { directory } = this.#parts
    directory.organization(organization)
    const read = readMailboxList(text)
    const mistakes = [...read.mistakes]
    for (const { line, mailbox } of read.rows) {
      const owner = directory.findMailbox(mailbox.address)?.organization
      if (owner !== undefined && owner !== organization) {
        mistakes.push({ line, message: `${mailbox.address} belongs to organization "${owner}"` })
      }
    }
    mistakes.sort((one, other) => one.line - other.line)
    const isNew = ({ mailbox }: ReadList['rows'][number]) => !directory.findMailbox(mailbox.address)
    const added = read.rows.filter(isNew).map(({ mailbox }) => mailbox.address)
    const changed = read.rows.filter(row => !isNew(row)).map(({ mailbox }) => mailbox.address)
    const [first] = mistakes
    if (!isDryRun && first) {
      throw organizationErrors.LIST_INVALID({ count: mistakes.length, first: `line ${first.line}: ${first.message}` })
    }
    directory.refuseMore(organization, added.length)
    if (!isDryRun) for (const { mailbox } of read.rows) await directory.putMailbox(organization, mailbox)
    return { rows: read.rows, mistakes: mistakes.slice(0, limits.listMistakes), added, changed }
  }

  removeMailbox(address: string): Promise<void> {
    return this.#actions.remove(address)
  }

  /** A person wants it synced now. */
  syncNow(address: string): void {
    const mailbox = this.mailbox(address)
    if (!this.#worker.isSynced(mailbox)) {
      throw organizationErrors.MAILBOX_STATE({ mailbox: address, state: mailbox.state, wish: 'synced' })
    }
    this.#loop.request(mailbox)
  }

  /** The deletions that the brake holds back, kind by kind. */
  async held(address: string, request: HeldRequest): Promise<HeldPage> {
    const { directory, drivers, store, clock } = this.#parts
    const mailbox = directory.mailbox(address)
    const rules = directory.rulesOf(mailbox)
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(limits.testMs)])
    return drivers.use(directory.organization(mailbox.organization), mailbox, both =>
      listHeldOf({ mailbox, rules, drivers: both, store, now: clock.now(), signal }, request),
    )
  }

  /** What a person says about them; of all kinds, or of one. Returns how many they are. */
  decideHeld(address: string, decision: HeldDecision, kind?: ItemKind): Promise<number> {
    return this.#actions.decideHeld(address, decision, kind && [kind])
  }

  /** What the first sync of a mailbox would do; nothing is written. */
  async preview(address: string): Promise<Preview> {
    const { directory, drivers, clock, log } = this.#parts
    const mailbox = directory.mailbox(address)
    const rules = directory.rulesOf(mailbox)
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(limits.previewMs)])
    return drivers.use(directory.organization(mailbox.organization), mailbox, both =>
      previewMailbox({ mailbox, rules, drivers: both, clock, log, signal, newKey: randomUUID }),
    )
  }

  /** Why an item did or did not come over. */
  async explain(address: string, query: string): Promise<Explanation> {
    const { directory, drivers, store, journal, clock } = this.#parts
    const mailbox = directory.mailbox(address)
    const rules = directory.rulesOf(mailbox)
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(limits.testMs)])
    return drivers.use(directory.organization(mailbox.organization), mailbox, both =>
      explainItem({ mailbox, rules, drivers: both, store, journal, now: clock.now(), signal }, query),
    )
  }

  logOf(request: JournalRequest): readonly (JournalLine & { readonly number: number })[] {
    this.mailbox(request.mailbox)
    return this.#parts.journal.list(request)
  }

  // ---- jobs ----

  /** Does it to the named mailboxes, or to all that it can be done to. */
  async startJob(organization: string, action: JobAction, addresses: readonly string[] | 'all'): Promise<Job> {
    return this.#jobs.start(organization, action, await this.jobTargets(organization, action, addresses))
  }

  /** Addresses of those that it would be done to. */
  jobTargets(
    organization: string,
    action: JobAction,
    addresses: readonly string[] | 'all',
  ): Promise<readonly string[]> {
    return targetsOf(this.#parts, { organization, action, addresses })
  }

  jobs(): readonly Job[] {
    return this.#jobs.list()
  }

  job(id: string): Job {
    return this.#jobs.get(id)
  }

  cancelJob(id: string): Promise<Job> {
    return this.#jobs.cancel(id)
  }

  jobEnded(id: string): Promise<Job> {
    return this.#jobs.ended(id)
  }

  /** How many mailboxes are in each state, and whether the account behind them rests. */
  statusOf(organization: string) {
    const counts = { 'not-activated': 0, testing: 0, active: 0, paused: 0, error: 0 }
    for (const { state } of this.mailboxes(organization)) counts[state]++
    return { counts, account: this.#loop.accountOf(organization) }
  }

  /** Mailboxes of all organizations that have their turn now. */
  get runningCount(): number {
    return this.#loop.runningCount
  }

  /** Every organization as the monitor sees it. */
  watched(): readonly WatchedOrganization[] {
    return this.organizations().map(({ name, isPaused }) => {
      const { counts, account } = this.statusOf(name)
      const totals = { itemsIn: 0, itemsOut: 0, conflicts: 0, refused: 0, held: 0 }
      let inError: WatchedOrganization['inError']
      for (const { address, state, cause, stateSince } of this.mailboxes(name)) {
        const { itemsIn, itemsOut, conflicts, refused, held } = this.progressOf(address)
        totals.itemsIn += itemsIn
        totals.itemsOut += itemsOut
        totals.conflicts += conflicts
        totals.refused += refused
        for (const count of Object.values(held)) totals.held += count
        const isOlder = inError === undefined || stateSince < inError.since
        if (state === 'error' && cause && isOlder) inError = { mailbox: address, since: stateSince, ...cause }
      }
      return { name, isPaused, counts, account, totals, inError }
    })
  }

  #refreshUsersOf(profile: string): void {
    for (const each of this.organizations()) if (each.profile === profile) this.#loop.refresh(each.name)
  }

  #refuseOver({ name, access, exchange }: Organization): void {
    const isOnline = /(^|\.)(outlook\.office365\.com|office365\.com)$/.test(
      new URL(exchange.url ?? 'https://x').hostname,
    )
    if (access === 'graph' || !isOnline || this.#options.clock.now() < ewsEndsAt) return
    throw organizationErrors.EWS_OVER({ organization: name })
  }
}

/** Exchange Online takes no EWS from then on. */
const ewsEndsAt = Date.UTC(2027, 3, 1)
