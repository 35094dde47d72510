import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Known } from '../flow/adapter.ts'
import type { Json } from '../kernel/json.ts'
import { FailedMails, failedLimits } from './imap-failed.ts'
import { archive, mail, SenderWorld, soon } from './imap-sender-world.ts'

let world: SenderWorld

beforeEach(() => {
  world = new SenderWorld()
})
afterEach(() => world.close())

const subjects = (folder: string) =>
  world.server.folder(folder).mails.map(({ bytes }) => /^Subject: (.*)$/m.exec(bytes.toString())?.[1]?.trim() ?? '')

/** Some searches of the mailbox. */
async function searches(count = 3): Promise<void> {
  const done = () => world.server.lines.filter(line => line.startsWith('UID SEARCH')).length
  const before = done()
  await soon(() => done() >= before + count).toBe(true)
}

/** What comes with the next tries; when one is due is counted from the end of the one before, which nothing shows. */
function later(probe: () => unknown) {
  return soon(() => {
    world.aheadMs += failedLimits.againMs
    return probe()
  })
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
  // What is through at once is moved by other numbers.
  world.server.folder('Processed').uidValidity = 9
  world.ending = () => 'delivered'
  world.server.receive(mail('e'))
  await soon(() => subjects('Processed')).toEqual(['e'])
  await searches()
  expect(subjects('Failed')).toHaveLength(4)
  world.end('D2', 'delivered')
  world.end('D3', 'skipped')
  await soon(() => subjects('Processed').toSorted()).toEqual(['b', 'c', 'e'])
  expect(subjects('Failed').toSorted()).toEqual(['a', 'd'])
  world.end('D1', 'delivered')
  await searches()
  // Not a log-in for each.
  expect(subjects('Failed').toSorted()).toEqual(['a', 'd'])
  world.aheadMs += failedLimits.everyMs
  await soon(() => subjects('Failed')).toEqual(['d'])
  expect([world.troubles, world.downs, world.accepted.length]).toEqual([[], [], 5])
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
  expect(world.troubles[0]?.code).toBe('IMAP_DONE_REFUSED')
  expect(world.troubles[0]?.message).toContain('refused to move them to "Processed" (in "Failed"): NO not now')
  world.ending = () => 'delivered'
  world.server.receive(mail('b'))
  await soon(() => subjects('Processed')).toEqual(['b'])
  await searches()
  expect([subjects('Failed'), world.downs]).toEqual([['a'], []])
  await later(() => subjects('Processed').toSorted()).toEqual(['a', 'b'])
  expect(world.troubles).toHaveLength(1)
})

test('a mail that the server keeps does not keep the others, and is not asked for for ever', async () => {
  await allFailed(archive, 'a', 'b', 'c')
  world.server.when(/^UID MOVE (1|1:.*) "Processed"/, 'NO not this one')
  for (const id of ['D1', 'D2', 'D3']) world.end(id, 'delivered')
  await soon(() => subjects('Processed').toSorted()).toEqual(['b', 'c'])
  for (let times = 1; times < failedLimits.attempts; times++) {
    await later(() => world.troubles.length).toBe(times + 1)
  }
  world.aheadMs += failedLimits.againMs
  await searches()
  expect([world.troubles.length, subjects('Failed'), world.downs]).toEqual([failedLimits.attempts, ['a'], []])
})

test('without MOVE it is copied once, however often the server refuses to remove it', async () => {
  world.server.capabilities = world.server.capabilities.replace(' MOVE', '')
  await allFailed(archive, 'a')
  await searches()
  world.server.when(/^UID STORE 1 /, 'NO not now', 2)
  world.end('D1', 'delivered')
  await soon(() => world.troubles.length).toBe(1)
  await later(() => world.troubles.length).toBe(2)
  await later(() => subjects('Failed')).toEqual([])
  expect(subjects('Processed')).toEqual(['a'])
})

test('new mails are read while the failed folder cannot be opened', async () => {
  await allFailed(archive, 'a')
  await searches()
  world.server.when(/^SELECT "Failed"/, () => '')
  world.ending = () => 'delivered'
  world.end('D1', 'delivered')
  await soon(() => world.server.lines.includes('SELECT "Failed"')).toBe(true)
  const begun = performance.now()
  world.server.receive(mail('b'))
  await soon(() => subjects('Processed')).toEqual(['b'])
  // The server is waited for for two seconds.
  expect(performance.now() - begun).toBeLessThan(1500)
})

test('where failed mails go to the same folder as the others nothing is moved', async () => {
  world.ending = () => 'set-aside'
  world.server.receive(mail('a'))
  await world.start({ done: { move: 'Processed', failed: 'Processed' } })
  await soon(() => subjects('Processed')).toEqual(['a'])
  world.end('D1', 'delivered')
  await searches()
  expect(world.server.lines.filter(line => line.startsWith('SELECT'))).toEqual(['SELECT "INBOX"'])
})

test('another server or folder begins empty; what can never be solved, and mails beyond the limit, are forgotten', async () => {
  const memory = {
    get: async (name: string) => world.memory.get(name),
    set: async (name: string, value: Json) => void world.memory.set(name, value),
  }
  await world.start(archive)
  const { config } = world.context()
  const opened = (change: object = {}) => FailedMails.open(memory, { ...config, ...change }, 'orders@contoso.com')
  const uids = new Map(Array.from({ length: failedLimits.mails + 1 }, (_unused, index) => [index + 1, index + 101]))
  await (await opened()).note({ left: 'gone', uidValidity: 7, uids }, 3)
  const asked: string[] = []
  const intake = (state: Known['state'] | undefined) => ({
    known: async (keys: readonly string[]) => {
      asked.push(...keys)
      return new Map(state ? keys.map(key => [key, { id: key, state }]) : [])
    },
  })
  for (const change of [{ host: 'elsewhere' }, { port: 1 }, { done: { move: 'Processed', failed: 'Errors' } }])
    expect(await (await opened(change)).solved(intake('delivered'))).toEqual([])
  const again = await opened()
  expect((await again.solved(intake('delivered')))[0]).toBe(102)
  expect([asked.length, asked[0]]).toEqual([failedLimits.mails, 'orders@contoso.com/INBOX/3/2'])
  for (const state of ['rejected', undefined] as const) {
    await again.note({ left: 'gone', uidValidity: 8, uids: new Map([[5, 6]]) }, 3)
    expect(await again.solved(intake(state))).toEqual([])
    asked.length = 0
    expect([await again.solved(intake('delivered')), asked]).toEqual([[], []])
  }
})
