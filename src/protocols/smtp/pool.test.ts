import { afterEach, describe, expect, test } from 'vitest'
import type { SmtpTwinServer } from '../../twins/smtp/server.ts'
import type { SmtpPool } from './pool.ts'
import { openSession } from './session.ts'
import { closeWorld, failure, mail, poolAt, serverAt, surroundings, twin } from './smtp-world.ts'

afterEach(closeWorld)

const sendMany = async (pool: SmtpPool, count: number) => {
  const what = await mail()
  return Promise.allSettled(Array.from({ length: count }, () => pool.send(what)))
}

describe('connections', () => {
  test('are used again, one mail after the other', async () => {
    const server = await twin()
    const pool = poolAt(server.port)
    for (let i = 0; i < 10; i++) await pool.send(await mail())
    expect([server.connections().total, server.received.length]).toEqual([1, 10])
  })

  test('are never more than allowed, and none waits for ever', async () => {
    const server = await twin()
    await sendMany(poolAt(server.port), 100)
    expect(server.received).toHaveLength(100)
    expect(server.connections().total).toBe(4)
  })

  test('are closed after so many mails', async () => {
    const server = await twin()
    await sendMany(poolAt(server.port, { connectionsMax: 1, mailsPerConnectionMax: 3 }), 10)
    expect([server.received.length, server.connections().total]).toEqual([10, 4])
  })

  test('are closed when nobody needs them', async () => {
    const server = await twin()
    const pool = poolAt(server.port, { idleMs: 20 })
    await pool.send(await mail())
    await until(() => server.connections().open === 0)
    await pool.send(await mail())
    expect(server.connections().total).toBe(2)
  })

  test('go on after a refusal of one mail', async () => {
    const server = await twin()
    const pool = poolAt(server.port, { connectionsMax: 1 })
    server.faults.refuse({ at: 'rcpt', code: 550, times: 3 })
    const results = await sendMany(pool, 6)
    expect(results.filter(({ status }) => status === 'rejected')).toHaveLength(3)
    expect([server.received.length, server.connections().total]).toEqual([3, 1])
  })
})

describe('a server that comes and goes', () => {
  test('hung up on connections that rested: the next mail does not notice', async () => {
    const server = await twin()
    const pool = poolAt(server.port)
    await sendMany(pool, 20)
    await bounceConnections(server)
    const results = await sendMany(pool, 20)
    expect(results.every(({ status }) => status === 'fulfilled')).toBe(true)
    expect(server.received).toHaveLength(40)
  })

  test('says 421 to a connection that rested: another one is opened', async () => {
    const server = await twin()
    const pool = poolAt(server.port)
    await pool.send(await mail())
    server.faults.refuse({ at: 'mail', code: 421 })
    await pool.send(await mail())
    expect([server.received.length, server.connections().total]).toEqual([2, 2])
  })

  test('is given a mail once only, however often the connection breaks after the dot', async () => {
    const server = await twin()
    const pool = poolAt(server.port)
    await pool.send(await mail())
    server.faults.drop({ at: 'answer' })
    const error = await failure(pool.send(await mail()))
    expect(error.code).toBe('SMTP_OUTCOME_UNKNOWN')
    expect(server.received).toHaveLength(2)
  })

  test('takes fewer connections than allowed: those that stand do the work', async () => {
    const server = await twin()
    const pool = poolAt(server.port, { connectionsMax: 8 })
    await pool.send(await mail())
    server.faults.delay({ at: 'rcpt', ms: 20, times: 1000 })
    server.faults.refuse({ at: 'banner', code: 421, times: 1000 })
    const results = await sendMany(pool, 30)
    const failed = results.filter(({ status }) => status === 'rejected')
    // Those that tried to open a connection hear of it; the others wait for the one that works.
    expect(failed.length).toBeLessThanOrEqual(8)
    expect(server.received).toHaveLength(31 - failed.length)
  })

  test('greets only when others have hung up: a connection that is free by then takes the mail', async () => {
    const server = await twin()
    const pool = poolAt(server.port, { connectionsMax: 2 })
    await pool.send(await mail())
    server.faults.delay({ at: 'rcpt', ms: 200 })
    server.faults.delay({ at: 'banner', ms: 600_000 })
    const first = pool.send(await mail())
    const second = pool.send(await mail())
    await Promise.all([first, second])
    expect([server.received.length, server.connections().total]).toEqual([3, 2])
    await pool.close()
    await until(() => server.connections().open === 0)
  })

  test('does not greet, and no connection is ever free: the mail goes behind another one before the others end', async () => {
    const server = await twin()
    const pool = poolAt(server.port, { connectionsMax: 2 })
    await pool.send(await mail())
    server.faults.delay({ at: 'answer', ms: 30, times: 1000 })
    server.faults.delay({ at: 'banner', ms: 600_000 })
    const running = pool.send(await mail())
    const opening = pool.send(await mail())
    const others = sendMany(pool, 80)
    await opening
    expect(server.received.length).toBeLessThan(80)
    await Promise.all([running, others])
    expect(server.received).toHaveLength(83)
  })

  test('is down: all who wait hear it with the first', async () => {
    let opened = 0
    const pool = poolAt(1, {
      connectionsMax: 2,
      open: async () => {
        opened++
        await new Promise(resolve => setTimeout(resolve, 50))
        return openSession(serverAt(1), surroundings)
      },
    })
    const results = await sendMany(pool, 50)
    expect(results.every(({ status }) => status === 'rejected')).toBe(true)
    expect(opened).toBeLessThanOrEqual(4)
  })

  test('flaps: every mail ends as delivered or with an error, and the pool recovers', async () => {
    const server = await twin()
    const pool = poolAt(server.port)
    server.faults.set({ flap: { upMs: 15, downMs: 15 } })
    for (let i = 0; i < 20; i++) await sendMany(pool, 5)
    server.faults.clear()
    await pool.send(await mail())
    const results = await sendMany(pool, 20)
    expect(results.every(({ status }) => status === 'fulfilled')).toBe(true)
  })
})

describe('stopping', () => {
  test('an abort while waiting for a connection frees the place', async () => {
    const server = await twin()
    const pool = poolAt(server.port, { connectionsMax: 1 })
    server.faults.delay({ at: 'rcpt', ms: 100 })
    const first = pool.send(await mail())
    const stop = new AbortController()
    const second = pool.send(await mail(), stop.signal)
    const third = pool.send(await mail())
    stop.abort()
    expect((await failure(second)).code).toBe('SMTP_INTERRUPTED')
    await Promise.all([first, third])
    expect(server.received).toHaveLength(2)
  })

  test('close ends what runs and what waits', async () => {
    const server = await twin()
    const pool = poolAt(server.port, { connectionsMax: 1 })
    server.faults.delay({ at: 'rcpt', ms: 5000 })
    const running = sendMany(pool, 3)
    await until(() => server.connections().open === 1)
    await new Promise(resolve => setTimeout(resolve, 20))
    await pool.close()
    expect((await running).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    expect((await failure(pool.send(await mail()))).code).toBe('SMTP_INTERRUPTED')
  })
})

/** Cuts every connection of a server once. */
async function bounceConnections(server: SmtpTwinServer): Promise<void> {
  server.faults.set({ flap: { upMs: 1, downMs: 30 } })
  await until(() => server.connections().open === 0)
  server.faults.clear()
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 400 && !holds(); i++) await new Promise(resolve => setTimeout(resolve, 5))
  expect(holds()).toBe(true)
}
