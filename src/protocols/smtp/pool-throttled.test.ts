import { createServer, connect as dial, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test } from 'vitest'
import { defineErrors } from '../../kernel/error.ts'
import { MINUTE, systemClock } from '../../kernel/time.ts'
import { listenOnLoopback } from '../../twins/listen.ts'
import type { SmtpServerOptions } from '../../twins/smtp/options.ts'
import { sendingPlaces } from '../../twins/smtp/sending-places.ts'
import type { SmtpPool } from './pool.ts'
import { openSession } from './session.ts'
import { closeLater, closeWorld, failure, mail, poolAt, scripted, serverAt, surroundings, twin } from './smtp-world.ts'

afterEach(closeWorld)

const sendMany = async (pool: SmtpPool, count: number) => {
  const what = await mail()
  const results = await Promise.allSettled(Array.from({ length: count }, () => pool.send(what)))
  return results.filter(({ status }) => status === 'fulfilled').length
}

/** Mails that take a while, so that connections are in use together. */
async function slowTwin(options: Partial<SmtpServerOptions> = {}) {
  const server = await twin(options)
  server.faults.delay({ at: 'end', ms: 10, times: 10_000 })
  return server
}

/** Lets no more than `limit.connections` through to a server at a time, as Postfix and Exchange do for one address. */
async function doorBefore(port: number, limit: { connections: number }) {
  let openCount = 0
  const refused: string[] = []
  const door = createServer(socket => {
    socket.on('error', () => {})
    if (openCount >= limit.connections) {
      refused.push('421')
      socket.end('421 4.7.0 mx.example Error: too many connections from 127.0.0.1\r\n')
      return
    }
    openCount++
    const behind = dial(port, '127.0.0.1')
    behind.on('error', () => {})
    socket.on('close', () => behind.destroy())
    behind.on('close', () => {
      openCount--
      socket.destroy()
    })
    socket.pipe(behind).pipe(socket)
  })
  const listener = await listenOnLoopback(door)
  closeLater(() => listener.stop())
  return { port: listener.port, refused }
}

/** Three mails at the same time, as Exchange Online has it for a mailbox. */
function threeAtATime(): NonNullable<SmtpServerOptions['policy']> {
  const places = sendingPlaces(3, () => 'all')
  return {
    onSending: session => places.enter(session),
    onEnd: mail => (places.isInside(mail) ? undefined : '432 4.3.2 Concurrent connections limit exceeded.'),
  }
}

describe('a server that takes fewer connections than the pool may open', () => {
  test('at the greeting: those that stand carry everything, and no mail hears of it', async () => {
    const server = await slowTwin()
    const door = await doorBefore(server.port, { connections: 3 })
    expect(await sendMany(poolAt(door.port, { connectionsMax: 16 }), 60)).toBe(60)
    expect([server.connections().total, server.received.length]).toEqual([3, 60])
    expect(door.refused.length).toBeLessThanOrEqual(13)
  })

  test('at the greeting, and there is none at all: the mail waits, and that costs it no chance', async () => {
    const server = await twin()
    const door = await doorBefore(server.port, { connections: 0 })
    expect(await failure(poolAt(door.port).send(await mail()))).toMatchObject({
      code: 'SMTP_TOO_MANY_CONNECTIONS',
      retry: 'soon',
      isThrottling: true,
    })
  })

  test('at the end of a mail: each refusal is one connection less, and then none is refused', async () => {
    const server = await slowTwin({ policy: threeAtATime() })
    const pool = poolAt(server.port, { connectionsMax: 16 })
    const first = await sendMany(pool, 60)
    // 13 connections too many, and on each the mail that was told behind another one.
    expect(60 - first).toBeGreaterThanOrEqual(13)
    expect(60 - first).toBeLessThanOrEqual(26)
    expect([await sendMany(pool, 60), server.connections().open]).toEqual([60, 3])
  })

  test.each([
    ['that the pool has to find', 16],
    ['that the pool was told', 3],
  ])(
    'a limit %s holds while connections are replaced: none is opened before another one is closed',
    async (_name, connectionsMax) => {
      const server = await slowTwin()
      const door = await doorBefore(server.port, { connections: 3 })
      const pool = poolAt(door.port, { connectionsMax, mailsPerConnectionMax: 2 })
      expect(await sendMany(pool, 60)).toBe(60)
      expect(door.refused.length).toBeLessThanOrEqual(connectionsMax - 3)
      expect(server.connections().total).toBeGreaterThanOrEqual(30)
    },
  )

  test('through a connector that carries no more', async () => {
    const { FULL } = defineErrors('SAMPLE', {
      FULL: { side: 'receiver', retry: 'soon', isThrottling: true, means: 'Full.', next: 'Nothing.' },
    })
    const server = await slowTwin()
    let openCount = 0
    const pool = poolAt(server.port, {
      connectionsMax: 8,
      open: async signal => {
        if (++openCount > 2) throw FULL()
        return openSession(serverAt(server.port), surroundings, signal)
      },
    })
    expect([await sendMany(pool, 30), server.connections().total]).toEqual([30, 2])
  })

  test('that says so and hangs up on the mail that is told behind counts as one connection less, not two', async () => {
    const tooMany = '432 4.3.2 Concurrent connections limit exceeded.\r\n'
    let strikes: 'at the next mail' | 'now' | undefined = 'at the next mail'
    let struck: Socket | undefined
    const used = new Set<Socket>()
    const said = new Map<Socket, Promise<unknown>>()
    // Answers to a group leave in its order, also where one takes a while.
    const say = (socket: Socket, words: string, afterMs = 0) =>
      said.set(
        socket,
        Promise.resolve(said.get(socket))
          .then(() => sleep(afterMs))
          .then(() => socket.write(words)),
      )
    const server = await scripted(['220 here\r\n', ''], (line, socket) => {
      if (line.startsWith('EHLO')) say(socket, '250-here\r\n250 PIPELINING\r\n')
      else if (line === '.' && strikes) {
        if (strikes === 'now') say(socket, tooMany)
        else struck = socket
        strikes = undefined
      } else if (struck === socket) {
        if (line.startsWith('MAIL')) socket.end(`${tooMany}421 4.3.2 closing\r\n`)
      } else if (line === '.') say(socket, '250 yes\r\n', 10)
      else if (line === 'DATA') {
        used.add(socket)
        say(socket, '354 go on\r\n')
      } else if (/^(MAIL|RCPT|RSET|QUIT)/.test(line)) say(socket, '250 yes\r\n')
    })
    let shiftMs = 0
    const clock = { ...systemClock, now: () => systemClock.now() + shiftMs }
    const pool = poolAt(server.port, { connectionsMax: 3, clock })
    const connectionsFor = async (count: number) => {
      used.clear()
      const sent = await sendMany(pool, count)
      return [sent, used.size]
    }
    expect((await connectionsFor(12))[0]).toBe(11)
    expect(await connectionsFor(12)).toEqual([12, 2])
    shiftMs = 6 * MINUTE
    expect(await connectionsFor(12)).toEqual([12, 3])
    strikes = 'now'
    await connectionsFor(12)
    expect(await connectionsFor(12)).toEqual([12, 2])
  })

  test('one more is tried after five minutes, and no sooner', async () => {
    const server = await slowTwin()
    const limit = { connections: 2 }
    const door = await doorBefore(server.port, limit)
    let shiftMs = 0
    const clock = { ...systemClock, now: () => systemClock.now() + shiftMs }
    const pool = poolAt(door.port, { connectionsMax: 8, clock })
    await sendMany(pool, 30)
    limit.connections = 8
    shiftMs = 4 * MINUTE
    await sendMany(pool, 30)
    expect(server.connections().open).toBe(2)
    // A single mail needs no more than there are, so nothing is learned from it.
    for (shiftMs = 6 * MINUTE; shiftMs < 30 * MINUTE; shiftMs += 6 * MINUTE) await sendMany(pool, 1)
    shiftMs = 6 * MINUTE
    await sendMany(pool, 30)
    expect(server.connections().open).toBe(3)
  })
})
