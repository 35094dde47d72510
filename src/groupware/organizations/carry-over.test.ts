import { expect, test } from 'vitest'
import { systemClock } from '../../kernel/time.ts'
import type { SideDriver } from '../drivers.ts'
import { defaultRules } from '../plan/rules.ts'
import { openSyncStore } from '../sync/sqlite-sync-store.ts'
import type { Link } from '../sync/sync-store.ts'
import { carryLinksOver } from './carry-over.ts'
import type { JournalLine } from './journal.ts'
import type { Mailbox } from './model.ts'

const mailbox = { address: 'ada@contoso.com', organization: 'contoso', crmAddress: 'ada@contoso.com' } as Mailbox
const scope = { organization: 'contoso', mailbox: 'ada@contoso.com', kind: 'appointment' } as const

function linkOf(number: number): Link {
  return {
    key: `k${String(number).padStart(4, '0')}`,
    exchange: { id: `ews-${number}`, version: 'v1', identity: `uid-${number}` },
    crm: { id: `crm-${number}`, version: 'c1', identity: null },
    base: {},
    pending: { exchange: {}, crm: {} },
    isDirty: false,
    role: 'lead',
    held: undefined,
  }
}

const never = new AbortController().signal

/** Links of a mailbox that is reached by EWS. */
async function storeWith(count: number) {
  const store = openSyncStore({ file: ':memory:' })
  await store.write(scope, {
    putLinks: Array.from({ length: count }, (_, index) => linkOf(index)),
    putUnseen: [{ side: 'exchange', id: 'ews-1', at: 1 }],
    state: { tokens: { exchange: 'sync state', crm: 'watermark' }, idSpace: 'ews' },
  })
  const lines: JournalLine[] = []
  const journal = { append: (_: string, line: JournalLine) => void lines.push(line) }
  return { parts: { mailbox, rules: defaultRules, store, journal, clock: systemClock }, store, lines }
}

const graph = (translateIds: SideDriver['translateIds']) => ({ idSpace: 'graph', translateIds }) as SideDriver

test('links get the ids that the new way tells; the others stay, and the mailbox is listed anew', async () => {
  const count = 1_203
  const { parts, store, lines } = await storeWith(count)
  const driver = graph(async (_scope, ids) =>
    ids.map(id => (Number(id.slice(4)) % 3 === 0 ? undefined : id.replace('ews', 'graph'))),
  )
  expect(await carryLinksOver(parts, driver, never)).toEqual({ links: count, translated: 802 })
  const [moved] = await store.findLinks(scope, 'exchange', ['graph-1'])
  // Its version under the new way is not known, so that the next round compares it.
  expect(moved).toMatchObject({ key: 'k0001', exchange: { version: '', identity: 'uid-1' }, isDirty: true })
  expect(await store.findLinks(scope, 'exchange', ['ews-3'])).toMatchObject([linkOf(3)])
  expect(await store.countLinks(scope)).toBe(count)
  expect(await store.unseen(scope)).toEqual([])
  const state = await store.readScope(scope)
  expect(state).toMatchObject({ tokens: { exchange: undefined, crm: 'watermark' }, idSpace: 'graph' })
  expect(lines).toMatchObject([{ text: expect.stringContaining('802 of 1203 links have their new ids') }])
  // Once is enough.
  expect(await carryLinksOver(parts, driver, never)).toEqual({ links: 0, translated: 0 })
  await store.close()
})

test('cut off in the midst it is done again, and by the same way nothing is asked', async () => {
  const { parts, store } = await storeWith(1_100)
  let asked = 0
  const failing = graph(async (_scope, ids) => {
    asked += 1
    if (asked === 2) throw new Error('the hub was killed')
    return ids.map(id => id.replace('ews', 'graph'))
  })
  await expect(carryLinksOver(parts, failing, never)).rejects.toThrow('killed')
  expect(await store.readScope(scope)).toMatchObject({ idSpace: 'ews', tokens: { exchange: 'sync state' } })
  expect((await carryLinksOver(parts, failing, never)).links).toBe(1_100)
  expect(await store.findLinks(scope, 'exchange', ['graph-1', 'graph-1099'])).toHaveLength(2)
  asked = 0
  await carryLinksOver(parts, failing, never)
  expect(asked).toBe(0)
  await store.close()
})
