import { afterEach, beforeEach, expect, test } from 'vitest'
import { FailedMails, failedLimits } from './imap-failed.ts'
import { mail, SenderWorld } from './imap-sender-world.ts'

let world: SenderWorld
const archive = { done: { move: 'Processed', failed: 'Failed' } }

beforeEach(() => {
  world = new SenderWorld()
})
afterEach(() => world.close())

function soon(check: () => unknown) {
  return expect.poll(check, { timeout: 5_000, interval: 10 })
}

const subjects = (folder: string) =>
  world.server.folder(folder).mails.map(({ bytes }) => /^Subject: (.*)$/m.exec(bytes.toString())?.[1]?.trim() ?? '')

/** Some searches of the mailbox. */
async function searches(count = 3): Promise<void> {
  const done = () => world.server.lines.filter(line => line.startsWith('UID SEARCH')).length
  const before = done()
  await soon(() => done() >= before + count).toBe(true)
}

/** These mails have failed and lie in the failed folder. */
async function allFailed(config: object, ...names: string[]): Promise<void> {
  world.ending = () => 'set-aside'
  for (const name of names) world.server.receive(mail(name))
  await world.start(config)
  await soon(() => subjects('Failed').toSorted()).toEqual(names)
}

test('a mail leaves the failed folder when its message is delivered later, or skipped; the others stay', async () => {
  await allFailed(archive, 'a', 'b', 'c', 'd')
  await searches()
  expect(subjects('Failed')).toHaveLength(4)
  world.end('D2', 'delivered')
  world.end('D3', 'skipped')
  await soon(() => subjects('Processed').toSorted()).toEqual(['b', 'c'])
  expect(subjects('Failed').toSorted()).toEqual(['a', 'd'])
  world.end('D1', 'delivered')
  await soon(() => subjects('Failed')).toEqual(['d'])
  expect([world.troubles, world.downs, world.accepted.length]).toEqual([[], [], 4])
})

test.each([
  ['deletes them', { delete: true }, []],
  ['marks them as read, where they are', { mark: 'read' }, ['\\Seen']],
] as const)('a mailbox that %s', async (_what, done, left) => {
  await allFailed({ done: { ...done, failed: 'Failed' } }, 'a')
  world.end('D1', 'delivered')
  await soon(() => world.flags('Failed')).toEqual(left)
  await searches()
  // Once, and not at every search.
  expect(world.server.lines.filter(line => line.includes('SELECT "Failed"'))).toHaveLength(1)
})

test('it is known after a restart, and in a folder that was made anew nothing is touched', async () => {
  await allFailed(archive, 'a', 'b')
  await searches()
  await world.stop()
  world.end('D1', 'delivered')
  await world.start(archive)
  await soon(() => subjects('Processed')).toEqual(['a'])
  await searches()
  await world.stop()
  world.server.folder('Failed').uidValidity = 2
  world.end('D2', 'delivered')
  await world.start(archive)
  await searches()
  expect(subjects('Failed')).toEqual(['b'])
  expect(world.troubles).toEqual([])
})

test('nothing is asked of a mailbox where nothing has changed, nor of one that does not say where mails go', async () => {
  world.server.capabilities = world.server.capabilities.replace('UIDPLUS ', '')
  await allFailed(archive, 'a')
  world.end('D1', 'delivered')
  await searches()
  expect(subjects('Failed')).toEqual(['a'])
  expect(world.server.lines.filter(line => line.startsWith('SELECT'))).toEqual(['SELECT "INBOX"'])
})

test('what goes wrong there is shown, keeps no mail from being read, and is tried again after a while', async () => {
  await allFailed(archive, 'a')
  world.server.when(/^UID MOVE 1 "Processed"/, 'NO not now', 1)
  world.end('D1', 'delivered')
  await soon(() => world.troubles.length).toBe(1)
  expect(world.troubles[0]?.message).toContain('not now')
  world.ending = () => 'delivered'
  world.server.receive(mail('b'))
  await soon(() => subjects('Processed')).toEqual(['b'])
  await searches()
  expect([subjects('Failed'), world.downs]).toEqual([['a'], []])
  world.aheadMs += failedLimits.againMs
  await soon(() => subjects('Processed').toSorted()).toEqual(['a', 'b'])
  expect(world.troubles).toHaveLength(1)
})

test('a folder of another name begins empty; messages that are gone and mails beyond the limit are forgotten', async () => {
  const kept = new Map<string, unknown>()
  const memory = {
    get: async (name: string) => kept.get(name) as never,
    set: async (name: string, value: unknown) => void kept.set(name, value),
  }
  const failed = await FailedMails.open(memory, 'orders@contoso.com/INBOX', 'Failed')
  const uids = new Map(Array.from({ length: failedLimits.mails + 1 }, (_unused, index) => [index + 1, index + 101]))
  await failed.note({ left: 'gone', uidValidity: 7, uids }, uid => `key ${uid}`)
  const asked: string[] = []
  const intake = (state: 'delivered' | undefined) => ({
    known: async (keys: readonly string[]) => {
      asked.push(...keys)
      return new Map(state ? keys.map(key => [key, { id: key, state }]) : [])
    },
  })
  expect(
    await (await FailedMails.open(memory, 'orders@contoso.com/INBOX', 'Errors')).solved(intake('delivered')),
  ).toEqual([])
  const again = await FailedMails.open(memory, 'orders@contoso.com/INBOX', 'Failed')
  expect((await again.solved(intake('delivered')))[0]).toBe(102)
  expect(asked).toHaveLength(failedLimits.mails)
  expect(await again.solved(intake(undefined))).toEqual([])
  asked.length = 0
  expect([await again.solved(intake('delivered')), asked]).toEqual([[], []])
})
