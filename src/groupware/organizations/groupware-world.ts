import { once } from 'node:events'
import { MemoryRecords } from '../../auth/records-world.ts'
import { defineErrors, HubError } from '../../kernel/error.ts'
import { silentLog } from '../../kernel/log.ts'
import { SimulatedClock } from '../../testing/simulated-clock.ts'
import type { Concern, FeedPage, Scope, SideDriver, WatchRequest } from '../drivers.ts'
import { withSharedFeed } from '../sync/shared-feed.ts'
import { calm, type Surroundings, WorldCrm, WorldMailbox } from '../sync/sides-world.ts'
import { watermarkToken } from '../sync/watermark.ts'
import { Groupware } from './groupware.ts'

export const worldErrors = defineErrors('WORLD', {
  NO_MAILBOX: {
    side: 'sender',
    retry: 'after-change',
    means: 'Exchange has no mailbox {mailbox}.',
    next: 'Correct the address of the user.',
  },
  ACCOUNT_REFUSED: {
    side: 'sender',
    retry: 'after-change',
    means: 'The service account is refused.',
    next: 'Enter its password anew.',
  },
  FORBIDDEN: {
    side: 'sender',
    retry: 'after-change',
    means: 'The service account may not use EWS.',
    next: 'Look whether EWS is switched off for the mailbox or for all.',
  },
  BUSY: { side: 'sender', retry: 'soon', means: 'The server is busy.', next: 'Nothing; it is tried again.' },
  CUT: { side: 'receiver', retry: 'soon', means: 'The answer was lost.', next: 'Nothing.', isOutcomeUnknown: true },
})

/** An Exchange with mailboxes, a CRM with employees, and a hub between them under simulated time. */
export class GroupwareWorld {
  readonly clock = new SimulatedClock(Date.UTC(2026, 10, 23))
  readonly around: Surroundings = calm()
  readonly records = new MemoryRecords()
  readonly mailboxes = new Map<string, WorldMailbox>()
  readonly crms = new Map<string, WorldCrm>()
  /** Thrown by each request to the mailbox side. */
  failure: HubError | undefined
  /** Mailboxes whose requests are answered with a failure of the account. */
  readonly odd = new Set<string>()
  /** Mailboxes for which alone EWS is switched off, which looks as if it were so for the account. */
  readonly forbidden = new Set<string>()
  /** Mailboxes whose requests fail so. */
  readonly busy = new Map<string, HubError>()
  /** Each listing of a mailbox waits for it. */
  gate: Promise<void> | undefined
  /** Which mailboxes were listed, and had their ids translated, in this order. */
  readonly asked: string[] = []
  /** Translations of ids wait for it. */
  translateGate: Promise<void> | undefined
  /** Listings take until they are told to stop. */
  isSlow = false
  /** Times a mailbox was asked what changed. */
  listings = 0
  opened = 0
  /** Exchange answers with other ids, as another protocol does. */
  idPrefix = ''
  /** Requests for notifications; undefined: this Exchange has none. */
  watches: WatchRequest[] | undefined
  /** Notifications that are ended take so long to end. */
  watchEndsMs = 0
  /** The CRM's feed tells nothing. */
  isFeedQuiet = false
  /** The CRM has one feed for all, as a real one has, with so many changes of others in each answer. */
  sharedFeedNoise: number | undefined
  groupware!: Groupware

  async start(dataFolder = ':memory:'): Promise<Groupware> {
    this.groupware = await Groupware.open({
      records: this.records,
      clock: this.clock,
      log: silentLog,
      dataFolder,
      random: () => 0.5,
      openDrivers: async ({ access }, { own }) => {
        this.opened++
        const idSpace = access === 'graph' ? 'graph' : 'ews'
        const exchange = this.#exchange()
        // Who logs in for itself is refused for itself.
        const concerns: SideDriver['concerns'] = error => (own ? 'mailbox' : exchange.concerns(error))
        return { exchange: { ...exchange, idSpace, concerns }, crm: this.#crm() }
      },
    })
    await this.groupware.start()
    return this.groupware
  }

  addPerson(address: string): { readonly mailbox: WorldMailbox; readonly crm: WorldCrm } {
    const mailbox = new WorldMailbox(this.around)
    const crm = new WorldCrm(this.around)
    this.mailboxes.set(address, mailbox)
    this.crms.set(address, crm)
    return { mailbox, crm }
  }

  /** Lets time pass; whatever begins meanwhile comes to rest. */
  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms, async () => {
      this.around.now = this.clock.now()
      for (let turn = 0; turn < 40; turn++) await new Promise(resolve => setImmediate(resolve))
    })
    this.around.now = this.clock.now()
  }

  #exchange(): SideDriver {
    const driver = routed('exchange', scope => {
      if (this.failure) throw this.failure
      const busy = this.busy.get(scope.mailbox)
      if (busy) throw busy
      if (this.forbidden.has(scope.mailbox)) throw worldErrors.FORBIDDEN()
      if (this.odd.has(scope.mailbox)) throw worldErrors.ACCOUNT_REFUSED()
      const mailbox = this.mailboxes.get(scope.mailbox)
      if (!mailbox) throw worldErrors.NO_MAILBOX({ mailbox: scope.mailbox })
      return mailbox
    })
    const { watches } = this
    return {
      ...driver,
      ...(watches && {
        watch: async (request: WatchRequest) => {
          watches.push(request)
          for (const mailbox of request.mailboxes) request.onConnected(mailbox)
          await once(request.signal, 'abort')
          if (this.watchEndsMs > 0) await this.clock.sleep(this.watchEndsMs)
        },
      }),
      translateIds: async (scope, ids) => {
        this.asked.push(`translate ${scope.mailbox}`)
        await this.translateGate
        if (this.failure) throw this.failure
        return ids.map(() => undefined)
      },
      changes: async (scope, token, signal) => {
        this.listings++
        this.asked.push(`list ${scope.mailbox}`)
        await this.gate
        if (this.isSlow && !signal.aborted) await once(signal, 'abort')
        signal.throwIfAborted()
        return driver.changes(scope, token, signal)
      },
    }
  }

  #crm(): SideDriver {
    const fallback = new WorldCrm(this.around)
    const driver = routed('crm', scope => this.crms.get(scope.owner) ?? fallback)
    if (this.sharedFeedNoise !== undefined) {
      const feed = (token: string | undefined) => this.#realFeed(token)
      const own: SideDriver = { ...driver, feed: (_organization, _kind, token) => feed(token) }
      return { ...withSharedFeed(own, this.clock), feed: (_organization, _kind, token) => feed(token) }
    }
    if (!this.watches) return driver
    // A feed that has news of everybody each time.
    return {
      ...driver,
      feed: async () => {
        const version = String(this.clock.now())
        const owners = this.isFeedQuiet ? [] : [...this.crms.keys()]
        const changes = owners.map(id => ({ id, version, isDeleted: false }))
        return { changes, owners: owners.map(owner => [owner]), token: version, hasMore: false }
      },
    }
  }

  async #realFeed(token: string | undefined): Promise<FeedPage> {
    const all = await Promise.all(
      [...this.crms].map(async ([owner, crm]) => {
        const { changes } = await crm.changes(undefined, token)
        return changes.map(change => ({ change, owners: [owner] }))
      }),
    )
    const noise = Array.from({ length: this.sharedFeedNoise ?? 0 }, (_, number) => {
      return { change: { id: `N${number}`, version: '1', isDeleted: false } as const, owners: ['somebody@contoso.com'] }
    })
    const told = [...all.flat(), ...noise]
    return {
      changes: told.map(({ change }) => change),
      owners: told.map(({ owners }) => owners),
      token: watermarkToken(this.clock.now()),
      hasMore: false,
    }
  }
}

/** One driver for many sides, each behind its scope. */
function routed(side: 'exchange' | 'crm', of: (scope: Scope) => WorldMailbox | WorldCrm): SideDriver {
  const sample = side === 'exchange' ? new WorldMailbox(calm()) : new WorldCrm(calm())
  return {
    side,
    abilities: kind => ({ ...sample.abilities(), holds: kind === 'appointment' }),
    changes: async (scope, token) => of(scope).changes(scope, token),
    ...(side === 'crm' && { keys: async (scope: Scope) => (of(scope) as WorldCrm).keys() }),
    read: async (scope, ids) => of(scope).read(scope, ids),
    findByMark: async (scope, marks) => of(scope).findByMark(scope, marks),
    findByIdentity: async (scope, identities) => of(scope).findByIdentity(scope, identities),
    create: async (scope, items) => of(scope).create(scope, items),
    update: async (scope, items) => of(scope).update(scope, items),
    remove: async (scope, items) => of(scope).remove(scope, items),
    normalise: item => sample.normalise(item),
    concerns: ({ code }) => (side === 'crm' ? 'mailbox' : (concerns.get(code) ?? 'account')),
  }
}

const concerns = new Map<string, Concern>([
  [worldErrors.NO_MAILBOX.code, 'mailbox'],
  [worldErrors.FORBIDDEN.code, 'either'],
])

export const organizationSettings = {
  access: 'ews-impersonation',
  exchange: { url: 'https://mail.contoso.com/EWS/Exchange.asmx', auth: 'exchange' },
  crm: { url: 'https://my1.crm.ondemand.com/sap/c4c/odata/v1/c4codataapi', auth: 'c4c' },
  every: '1m',
} as const

/** What a promise was refused with; a promise that keeps is a mistake of the test. */
export async function refusal(promise: Promise<unknown>): Promise<HubError> {
  const thrown = await promise.then(
    () => new Error('it was not refused'),
    (error: unknown) => error,
  )
  if (!(thrown instanceof HubError)) throw thrown
  return thrown
}
