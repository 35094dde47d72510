import { afterEach, beforeEach, expect, test } from 'vitest'
import { MINUTE } from '../kernel/time.ts'
import { imap } from './imap.ts'
import { mail, SenderWorld } from './imap-sender-world.ts'

let world: SenderWorld
const archive = { done: { move: 'Processed', failed: 'Failed' } }
const large = mail('large') + 'x'.repeat(2_000_000)

beforeEach(() => {
  world = new SenderWorld()
})
afterEach(() => world.close())

function soon(check: () => unknown) {
  return expect.poll(check, { timeout: 20_000, interval: 10 })
}

async function putAside(texts: readonly string[]): Promise<void> {
  await soon(() => world.server.folders.get('Failed')?.mails.map(kept => kept.bytes.toString())).toEqual(texts)
}

test.each<[string, string]>([
  ['an ordinary', mail('odd')],
  ['a large', large],
])('%s mail that drips without end is put aside, and the others are read', { timeout: 30_000 }, async (_, odd) => {
  for (const text of [mail('a'), odd, mail('b')]) world.server.receive(text)
  const drips: NodeJS.Timeout[] = []
  world.server.when(/^UID FETCH (1:2|1:3|2) \(UID BODY/, (_tag, _line, send) => {
    send(`* 2 FETCH (UID 2 BODY[] {${odd.length}}\r\n`)
    let count = 0
    const drip = () => {
      // Nobody waits in a test until a server has had its time.
      if (++count === 5) world.aheadMs += 11 * MINUTE
      send('x')
    }
    drips.push(setInterval(drip, 20))
    return ''
  })
  await world.start({ ...archive, timeout: '400ms' })
  await putAside([odd])
  await soon(() => world.subjects().toSorted()).toEqual(['a', 'b'])
  for (const drip of drips) clearInterval(drip)
  expect(world.downs.map(({ code }) => code)).toContain('IMAP_TOO_SLOW')
  expect(world.troubles).toMatchObject([{ code: 'IMAP_ROW_MISSING', fields: { uid: 2, attempts: 3 } }])
})

test('a large mail at which the connection breaks each time is put aside, and the others are read', async () => {
  for (const text of [large, mail('small')]) world.server.receive(text)
  world.server.when(/^UID FETCH (1:2|1) \(UID BODY/, (_tag, _line, send) => {
    send(`* 1 FETCH (UID 1 BODY[] {${large.length}}\r\n${large.slice(0, 1_500_000)}`)
    setTimeout(() => world.server.hangUp(), 30)
    return ''
  })
  await world.start(archive)
  await putAside([large])
  await soon(() => world.subjects()).toEqual(['small'])
  expect(world.troubles).toMatchObject([{ code: 'IMAP_ROW_MISSING', fields: { uid: 1, attempts: 3 } }])
})

test('a mail whose size breaks the connection does not keep the others from being read', async () => {
  for (const subject of ['a', 'b', 'c']) world.server.receive(mail(subject))
  world.server.when(/^UID FETCH (1:3|2) .*RFC822.SIZE/, () => {
    world.server.hangUp()
    return ''
  })
  await world.start(archive)
  await soon(() => world.uids('Processed')).toHaveLength(3)
  expect(world.downs).toMatchObject([{ code: 'IMAP_CONNECTION_LOST' }])
})

/** Answers a command with a drip that lasts as long as the connection. */
function drips(pattern: RegExp, begin: string): Promise<void> {
  return new Promise(resolve => {
    world.server.when(pattern, (_tag, _line, send) => {
      send(begin)
      const timer = setInterval(() => (world.server.connectionCount > 0 ? send('x') : clearInterval(timer)), 20)
      resolve()
      return ''
    })
  })
}

test('a mail that drips does not keep the hub from stopping', async () => {
  world.server.receive(large)
  const begun = drips(/BODY.PEEK/, `* 1 FETCH (UID 1 BODY[] {${large.length}}\r\n`)
  await world.start({ timeout: '1h' })
  await begun
  await world.stop()
  await soon(() => world.server.connectionCount).toBe(0)
})

test('a LOGOUT that drips does not keep the hub from stopping', async () => {
  await world.start({ timeout: '1h', idle: false })
  const begun = drips(/^LOGOUT/, '* OK one moment')
  const checking = (await imap.open(world.context())).check()
  await begun
  await world.stop()
  await checking
  await soon(() => world.server.connectionCount).toBe(0)
})
