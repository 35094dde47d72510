import { randomUUID } from 'node:crypto'
import { beforeEach, expect, test } from 'vitest'
import type { HubError } from '../../kernel/error.ts'
import { silentLog } from '../../kernel/log.ts'
import { systemClock } from '../../kernel/time.ts'
import type { Side, SideDriver } from '../drivers.ts'
import type { ItemKind } from '../plan/items.ts'
import { defaultRules } from '../plan/rules.ts'
import { Claims } from '../sync/claims.ts'
import { syncLimits } from '../sync/context.ts'
import { contact, task } from '../sync/pair-world.ts'
import { appointment, calm, WorldCrm, WorldMailbox } from '../sync/sides-world.ts'
import { openSyncStore } from '../sync/sqlite-sync-store.ts'
import { worldErrors } from './groupware-world.ts'
import { syncMailbox } from './mailbox-rounds.ts'
import type { Mailbox } from './model.ts'

const around = calm()
const kinds = ['appointment', 'contact', 'task'] as const
const itemsOf = {
  appointment: (name: string) => appointment({ subject: name }),
  contact: (name: string) => contact({ surname: name }),
  task: (name: string) => task({ subject: name }),
}
let mailboxes: Readonly<Record<string, WorldMailbox>>
let crms: Readonly<Record<string, WorldCrm>>
let failures: Map<ItemKind, HubError>

beforeEach(() => {
  mailboxes = Object.fromEntries(kinds.map(kind => [kind, new WorldMailbox(around)]))
  crms = Object.fromEntries(kinds.map(kind => [kind, new WorldCrm(around)]))
  for (const kind of kinds) for (const name of ['A', 'B', 'C']) crms[kind]?.add(itemsOf[kind](name))
  failures = new Map()
})

/** One side with all kinds, each of which is a world of its own. */
function driverOf(side: Side, worlds: Readonly<Record<string, WorldMailbox | WorldCrm>>): SideDriver {
  const sample = side === 'exchange' ? new WorldMailbox(around) : new WorldCrm(around)
  const of = (kind: ItemKind) => {
    const failure = side === 'exchange' ? failures.get(kind) : undefined
    const world = worlds[kind]
    if (failure || !world) throw failure ?? new Error(`no ${kind}`)
    return world
  }
  return {
    side,
    abilities: kind => ({ ...sample.abilities(), holds: kind !== 'mail' }),
    changes: async (scope, token) => of(scope.kind).changes(scope, token),
    read: async (scope, ids) => of(scope.kind).read(scope, ids),
    findByMark: async (scope, marks) => of(scope.kind).findByMark(scope, marks),
    findByIdentity: async (scope, identities) => of(scope.kind).findByIdentity(scope, identities),
    create: async (scope, items) => of(scope.kind).create(scope, items),
    update: async (scope, items) => of(scope.kind).update(scope, items),
    remove: async (scope, items) => of(scope.kind).remove(scope, items),
    normalise: item => sample.normalise(item),
    concerns: error => (error.code === worldErrors.NO_MAILBOX.code ? 'mailbox' : 'account'),
  }
}

async function sync(limits = {}) {
  const store = openSyncStore({ file: ':memory:' })
  try {
    return await syncMailbox({
      mailbox: { organization: 'x', address: 'a@x.example', crmAddress: 'a@x.example' } as Mailbox,
      rules: defaultRules,
      drivers: { exchange: driverOf('exchange', mailboxes), crm: driverOf('crm', crms) },
      store,
      clock: { ...systemClock, now: () => around.now },
      log: silentLog,
      signal: new AbortController().signal,
      newKey: randomUUID,
      journal: () => {},
      claims: new Claims({ now: () => around.now }),
      limits: { ...syncLimits, ...limits },
    })
  } finally {
    await store.close()
  }
}

const counts = () => kinds.map(kind => mailboxes[kind]?.held.size)

test('all kinds of a mailbox come over in one turn', async () => {
  const { reports, isUnfinished } = await sync()
  expect([...reports.values()].map(({ created }) => created)).toEqual(kinds.map(() => ({ exchange: 3, crm: 0 })))
  expect({ isUnfinished, counts: counts() }).toEqual({ isUnfinished: false, counts: [3, 3, 3] })
})

test('a kind that fails leaves the others alone, and its failure is told', async () => {
  failures.set('appointment', worldErrors.NO_MAILBOX({ mailbox: 'a@x.example' }))
  await expect(sync()).rejects.toMatchObject({ code: 'WORLD_NO_MAILBOX' })
  expect(counts()).toEqual([0, 3, 3])
})

test('a server that is busy is what is told, whatever else went wrong', async () => {
  failures.set('appointment', worldErrors.NO_MAILBOX({ mailbox: 'a@x.example' }))
  failures.set('contact', worldErrors.BUSY({}, { retryAfterMs: 60_000 }))
  await expect(sync()).rejects.toMatchObject({ code: 'WORLD_BUSY', retryAfterMs: 60_000 })
  expect(counts()).toEqual([0, 0, 0])
})

// Three kinds bring three items each.
test.each([
  { heldItemsMax: 9, reads: 0 },
  { heldItemsMax: 6, reads: 1 },
  { heldItemsMax: 3, reads: 2 },
])(
  'of items that come whole $heldItemsMax are kept, for all kinds together; others are read',
  async ({ reads, ...limits }) => {
    await sync(limits)
    expect(kinds.reduce((sum, kind) => sum + (crms[kind]?.requests.get('read') ?? 0), 0)).toBe(reads)
    expect(counts()).toEqual([3, 3, 3])
  },
)
