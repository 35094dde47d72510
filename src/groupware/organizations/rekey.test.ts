import { expect, test } from 'vitest'
import type { SideDriver } from '../drivers.ts'
import { defaultRules } from '../plan/rules.ts'
import { openSyncStore } from '../sync/sqlite-sync-store.ts'
import type { Link } from '../sync/sync-store.ts'
import type { Mailbox } from './model.ts'
import { rekeyMailbox } from './rekey.ts'

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

test('links get the ids that the new way tells; the others stay, and the mailbox is listed anew', async () => {
  const store = openSyncStore({ file: ':memory:' })
  const count = 1_203
  await store.write(scope, {
    putLinks: Array.from({ length: count }, (_, index) => linkOf(index)),
    state: { tokens: { exchange: 'sync state', crm: 'watermark' } },
  })
  const translateIds: SideDriver['translateIds'] = async (_scope, ids) =>
    ids.map(id => (Number(id.slice(4)) % 3 === 0 ? undefined : id.replace('ews', 'graph')))
  const done = await rekeyMailbox(
    { mailbox, rules: defaultRules, store },
    { translateIds } as SideDriver,
    new AbortController().signal,
  )
  expect(done).toEqual({ links: count, translated: 802 })
  const [moved] = await store.findLinks(scope, 'exchange', ['graph-1'])
  // Its version under the new way is not known, so that the next round compares it.
  expect(moved).toMatchObject({ key: 'k0001', exchange: { version: '', identity: 'uid-1' }, isDirty: true })
  expect(await store.findLinks(scope, 'exchange', ['ews-3'])).toMatchObject([linkOf(3)])
  expect(await store.countLinks(scope)).toBe(count)
  expect((await store.readScope(scope)).tokens).toEqual({ exchange: undefined, crm: 'watermark' })
  await store.close()
})
