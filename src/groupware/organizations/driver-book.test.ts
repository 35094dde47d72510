import { beforeEach, expect, test } from 'vitest'
import type { SideDriver } from '../drivers.ts'
import { DriverBook } from './driver-book.ts'
import type { Mailbox, Organization } from './model.ts'

const organization = { name: 'contoso', access: 'ews-impersonation', revision: 1 } as Organization
const ada = { address: 'ada@contoso.com', auth: 'own' } as Mailbox
const ben = { address: 'ben@contoso.com', auth: 'own' } as Mailbox
let opened: string[]
let closed: string[]
let failures: number
let book: DriverBook

beforeEach(() => {
  opened = []
  closed = []
  failures = 0
  book = new DriverBook(async ({ revision }, { own, sample }) => {
    const name = `${revision} ${own?.address ?? 'all'} ${sample}`
    opened.push(name)
    if (failures-- > 0) throw new Error('not now')
    const side = { close: async () => void closed.push(name) } as unknown as SideDriver
    return { exchange: side, crm: { ...side, close: async () => {} } }
  })
})

test('one pair serves all mailboxes of an organization; with log-ins of their own each has one', async () => {
  await book.use(organization, ada, async () => {})
  await book.use(organization, ben, async () => {})
  expect(opened).toEqual(['1 all ada@contoso.com'])
  const direct = { ...organization, access: 'ews-direct' as const }
  await book.use(direct, ada, async () => {})
  await book.use(direct, ben, async () => {})
  expect(opened.slice(1)).toEqual(['1 ada@contoso.com ada@contoso.com', '1 ben@contoso.com ben@contoso.com'])
  book.dropAll('contoso')
  await new Promise(resolve => setImmediate(resolve))
  expect(closed).toHaveLength(3)
})

test('other settings have other drivers at once; the old ones are closed when their last work has ended', async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  const running = book.use(organization, ada, () => promise)
  // Another name of it, or a pause, is no other way in.
  await book.use({ ...organization, revision: 2, isPaused: false }, ada, async () => {})
  expect(opened).toHaveLength(1)
  const crm = { url: 'https://other.crm.ondemand.com/', auth: 'c4c' }
  await book.use({ ...organization, revision: 3, crm }, ada, async () => {})
  expect(opened).toHaveLength(2)
  expect(closed).toEqual([])
  resolve()
  await running
  expect(closed).toEqual(['1 all ada@contoso.com'])
})

test('what could not be opened is opened anew; a failure of the work closes nothing', async () => {
  failures = 1
  await expect(book.use(organization, ada, async () => {})).rejects.toThrow('not now')
  await book.use(organization, ada, async () => {})
  const work = book.use(organization, ada, () => Promise.reject(new Error('of the work')))
  await expect(work).rejects.toThrow('of the work')
  await book.use(organization, ada, async () => {})
  expect(opened).toHaveLength(2)
  expect(closed).toEqual([])
})
