import type { Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../kernel/time.ts'
import type { ReceivedMail } from '../../twins/smtp/mailbag.ts'
import { parseAddress } from './address.ts'
import type { SmtpPoolOptions } from './pool.ts'
import { closeWorld, failure, mail, poolAt, quickTimeouts, scripted, twin } from './smtp-world.ts'

afterEach(closeWorld)

/** With one connection every mail but the first waits for it. */
const lonePool = (port: number, options: Partial<SmtpPoolOptions> = {}) =>
  poolAt(port, { connectionsMax: 1, ...options })

const named = (name: string) => {
  const octets = `Message-ID: <${name}@contoso.example>\r\n\r\nFive pumps.\r\n`
  return mail(octets, { name, to: [parseAddress(`${name}@s4.example`)] })
}
const names = (mails: readonly ReceivedMail[]) =>
  mails.map(({ messageId }) => /<(.*)@/.exec(messageId)?.[1] ?? '').toSorted()

/** A server that answers by a function of the lines it hears; undefined: nothing. */
async function answering(answer: (line: string, isBody: boolean) => string | undefined, extensions = '250 PIPELINING') {
  let isBody = false
  const say = (line: string, socket: Socket) => {
    const words = answer(line, isBody)
    if (words?.startsWith('354')) isBody = true
    if (line === '.') isBody = false
    if (words !== undefined) socket.write(words)
  }
  return scripted(['220 here\r\n', ''], (line, socket) => {
    if (line.startsWith('EHLO')) socket.write(`250-here\r\n${extensions}\r\n`)
    else say(line, socket)
  })
}

const usual = (line: string, isBody: boolean) => {
  if (isBody && line !== '.') return undefined
  return line === 'DATA' ? '354 go on\r\n' : '250 yes\r\n'
}

/** Takes a while for each mail, and tells what it heard meanwhile; a deaf one has thrown that away. */
async function pondering(options: { readonly ms: number; readonly isDeaf?: boolean; readonly extensions?: string }) {
  const meanwhile: string[] = []
  let isBusy = false
  const server = await scripted(['220 here\r\n', ''], (line, socket) => {
    if (isBusy) meanwhile.push(line)
    if (isBusy && options.isDeaf) return
    if (line.startsWith('EHLO')) socket.write(`250-here\r\n${options.extensions ?? '250 PIPELINING'}\r\n`)
    else if (line === '.') {
      isBusy = true
      setTimeout(() => {
        isBusy = false
        socket.write('250 yes\r\n')
      }, options.ms)
    } else if (line === 'DATA') socket.write('354 go on\r\n')
    else if (/^(MAIL|RCPT|RSET|QUIT)/.test(line)) socket.write('250 yes\r\n')
  })
  return { ...server, meanwhile }
}

/** Refuses the first mail at its end, and then everything until RSET. */
function wantingReset() {
  let wantsReset = false
  let endCount = 0
  return answering((line, isBody) => {
    if (line === '.' && ++endCount === 1) {
      wantsReset = true
      return '554 no\r\n'
    }
    if (line === 'RSET') wantsReset = false
    return wantsReset && line !== 'QUIT' ? '503 nested\r\n' : usual(line, isBody)
  })
}

describe('while the answer to a mail is due', () => {
  test('the next one is told: this server answers the first only when it hears of the second', async () => {
    let ended = 0
    const server = await answering((line, isBody) => {
      if (line === '.' && ++ended === 1) return undefined
      return line.startsWith('MAIL') && ended === 1 ? '250 the first\r\n250 yes\r\n' : usual(line, isBody)
    })
    const pool = lonePool(server.port)
    const sent = await Promise.all([pool.send(await named('a')), pool.send(await named('b'))])
    expect(sent.map(({ reply }) => reply.lines)).toEqual([['the first'], ['yes']])
  })

  test.each(['250 HELP', '250-SIZE 1000000\r\n250 8BITMIME'])(
    'a server without PIPELINING (%s) hears no more',
    async extensions => {
      const server = await pondering({ ms: 30, extensions })
      const pool = lonePool(server.port)
      await Promise.all([pool.send(await named('a')), pool.send(await named('b')), pool.send(await named('c'))])
      expect(server.meanwhile).toEqual([])
    },
  )

  test('many mails arrive once each, over one connection', async () => {
    const server = await twin()
    const pool = lonePool(server.port)
    const all = Array.from({ length: 60 }, (_, index) => `m${index}`)
    await Promise.all(all.map(async name => pool.send(await named(name))))
    expect(names(server.received)).toEqual(all.toSorted())
    expect(server.connections().total).toBe(1)
  })

  test('a refusal of it is its own, and of the next one too', async () => {
    const server = await twin()
    server.faults.refuse({ at: 'end', code: 554 })
    const pool = lonePool(server.port)
    const first = failure(pool.send(await named('a')))
    const second = pool.send(await named('b'))
    const third = failure(pool.send(await mail(undefined, { to: [] })))
    expect((await first).code).toBe('SMTP_REFUSED')
    expect((await third).code).toBe('SMTP_NO_RECIPIENT')
    await second
    expect([names(server.received), server.connections().total]).toEqual([['b'], 1])
  })

  test('a server that wants RSET behind a mail that it refused gets the next one in peace', async () => {
    const server = await wantingReset()
    const pool = lonePool(server.port)
    const first = failure(pool.send(await named('a')))
    const second = await pool.send(await named('b'))
    expect([(await first).code, second.reply.code, server.heard.includes('RSET')]).toEqual(['SMTP_REFUSED', 250, true])
  })

  test('one that is never told leaves no trace: who comes after it is told in peace, too', async () => {
    const server = await wantingReset()
    const pool = lonePool(server.port)
    const first = failure(pool.send(await named('a')))
    const second = failure(pool.send(await mail(undefined, { to: [] })))
    const third = await pool.send(await named('c'))
    expect([(await first).code, (await second).code, third.reply.code]).toEqual([
      'SMTP_REFUSED',
      'SMTP_NO_RECIPIENT',
      250,
    ])
  })

  test('a server that throws away what stands behind a mail is told one mail behind another, and no more', async () => {
    const server = await pondering({ ms: 10, isDeaf: true })
    const timeouts = { ...quickTimeouts, commandMs: 300 }
    const pool = lonePool(server.port, { timeouts })
    await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map(async name => pool.send(await named(name))))
    expect(server.heard.filter(line => line === '.')).toHaveLength(6)
    expect(server.meanwhile.filter(line => line.startsWith('MAIL'))).toHaveLength(1)
  })

  const refusals = ['550 5.7.1 no', '554 5.5.1 talking ahead']
  test.each(refusals)('%s to the next one is asked for again, apart', async words => {
    let refusalCount = 0
    let lineBefore = ''
    let hasSender = false
    const server = await answering((line, isBody) => {
      const isBehind = lineBefore === '.' && line.startsWith('MAIL') && refusalCount === 0
      lineBefore = line
      if (isBehind) refusalCount++
      if (line.startsWith('MAIL')) hasSender = !isBehind
      if (isBehind) return `${words}\r\n`
      return /^(RCPT|DATA)/.test(line) && !hasSender ? '503 no sender\r\n' : usual(line, isBody)
    })
    const pool = lonePool(server.port)
    await Promise.all([pool.send(await named('a')), pool.send(await named('b'))])
    expect([refusalCount, server.heard.filter(line => line === '.').length]).toEqual([1, 2])
  })

  test('an abort between the two is heard at once', async () => {
    const server = await twin()
    server.faults.delay({ at: 'answer', ms: 1500 })
    const pool = lonePool(server.port)
    let isAnswered = false
    const first = pool.send(await named('a')).finally(() => {
      isAnswered = true
    })
    const stop = new AbortController()
    const next = await named('b')
    // The list of recipients is read when the mail begins: behind the other one, and before a word of it is written.
    const second = pool.send(
      Object.defineProperty({ ...next }, 'to', {
        enumerable: true,
        get() {
          stop.abort()
          return next.to
        },
      }),
      stop.signal,
    )
    expect([(await failure(second)).code, isAnswered]).toEqual(['SMTP_INTERRUPTED', false])
    expect((await first).reply.code).toBe(250)
    expect(names(server.received)).toEqual(['a'])
  })

  test('a loss leaves that one unknown, and the next one goes another way', async () => {
    const server = await twin()
    server.faults.drop({ at: 'answer' })
    const pool = lonePool(server.port)
    const first = failure(pool.send(await named('a')))
    await pool.send(await named('b'))
    expect((await first).code).toBe('SMTP_OUTCOME_UNKNOWN')
    expect([names(server.received), server.connections().total]).toEqual([['a', 'b'], 2])
  })

  test('an abort of it leaves it unknown, and the next one goes another way', async () => {
    const server = await twin()
    server.faults.delay({ at: 'answer', ms: 300 })
    const pool = lonePool(server.port)
    const stop = new AbortController()
    const first = failure(pool.send(await named('a'), stop.signal))
    const second = pool.send(await named('b'))
    while (server.received.length === 0) await new Promise(resolve => setTimeout(resolve, 5))
    stop.abort()
    expect((await first).code).toBe('SMTP_OUTCOME_UNKNOWN')
    await second
    expect(names(server.received)).toEqual(['a', 'b'])
  })

  test('an abort of the next one does not take the answer away', async () => {
    const server = await twin()
    server.faults.delay({ at: 'answer', ms: 100 })
    const pool = lonePool(server.port)
    const first = pool.send(await named('a'))
    const stop = new AbortController()
    const second = failure(pool.send(await named('b'), stop.signal))
    const third = pool.send(await named('c'))
    while (server.received.length === 0) await new Promise(resolve => setTimeout(resolve, 5))
    stop.abort()
    expect((await second).code).toBe('SMTP_INTERRUPTED')
    expect((await first).reply.code).toBe(250)
    await third
    expect(names(server.received)).toEqual(['a', 'c'])
  })

  test('the next one does not wait long: it looks for another connection, and others keep apart', async () => {
    const server = await twin()
    server.faults.delay({ at: 'answer', ms: 400, match: 'slow@' })
    const hasty = { ...systemClock, after: (ms: number, then: () => void) => systemClock.after(ms / 40, then) }
    const pool = lonePool(server.port, { connectionsMax: 2, clock: hasty })
    const order: string[] = []
    const send = async (name: string) => {
      await pool.send(await named(name))
      order.push(name)
    }
    await Promise.all(['slow', 'a', 'b', 'c', 'd', 'e'].map(send))
    expect(order.at(-1)).toBe('slow')
    expect(names(server.received)).toEqual(['a', 'b', 'c', 'd', 'e', 'slow'])
  })

  test('its time is not that of the next one', async () => {
    const server = await twin()
    server.faults.delay({ at: 'answer', ms: 300 })
    const timeouts = { ...quickTimeouts, commandMs: 100, dataStartMs: 100 }
    const pool = lonePool(server.port, { timeouts })
    await Promise.all([pool.send(await named('a')), pool.send(await named('b'))])
    expect(names(server.received)).toEqual(['a', 'b'])
  })

  test('close ends both', async () => {
    const server = await twin()
    server.faults.delay({ at: 'answer', ms: 5000 })
    const pool = lonePool(server.port)
    const first = failure(pool.send(await named('a')))
    const second = failure(pool.send(await named('b')))
    while (server.received.length === 0) await new Promise(resolve => setTimeout(resolve, 5))
    await pool.close()
    expect([(await first).code, (await second).code]).toEqual(['SMTP_OUTCOME_UNKNOWN', 'SMTP_INTERRUPTED'])
  })
})

test('two recipients are told in one group as well', async () => {
  const server = await twin()
  const pool = lonePool(server.port)
  const to = [parseAddress('orders@s4.example'), parseAddress('copies@s4.example')]
  const many = Array.from({ length: 10 }, async () => pool.send(await mail(undefined, { to })))
  await Promise.all(many)
  expect([server.received.length, server.connections().total]).toEqual([10, 1])
})
