import fc from 'fast-check'
import { expect, test } from 'vitest'
import { defineErrors } from '../kernel/error.ts'
import { systemClock } from '../kernel/time.ts'
import { createLogBook, type LogLevel, logLimits } from './log.ts'
import { createMask, maskText } from './mask.ts'

const secrets = ['Tr0ub4dor&3 "quoted"/+', 'ya29.a0AfH6SMBx-long_token', '0987654321', 'pässwörd mit Leerzeichen']
const [password = '', token = '', digits = '', umlauts = ''] = secrets

function logTo(format: 'json' | 'text', level: LogLevel = 'debug') {
  const written: string[] = []
  const book = createLogBook({
    clock: systemClock,
    secretValues: () => secrets,
    level,
    format,
    output: { write: text => written.push(text) },
  })
  return { ...book, written }
}

const testErrors = defineErrors('LOGTEST', {
  REFUSED: { side: 'sender', retry: 'soon', means: 'The server said {text}.', next: 'Try {text} again.' },
})

const circular: Record<string, unknown> = { password }
circular.self = circular

const plantings: [string, unknown][] = [
  ['a field', { password }],
  ['a nested object', { a: { b: { c: [{ d: token }] } } }],
  ['a key of an object', { [token]: 1 }],
  ['a map and a set', { map: new Map([[token, password]]), set: new Set([token]) }],
  ['the query of a URL', { url: `https://host/path?token=${encodeURIComponent(password)}` }],
  ['a form body', { form: new URLSearchParams({ client_secret: umlauts }).toString() }],
  ['the user info of a URL', { url: new URL(`https://user:${encodeURIComponent(password)}@host/`) }],
  ['a Basic header', { authorization: `Basic ${Buffer.from(`user:${password}`).toString('base64')}` }],
  ['an XOAUTH2 line', { line: Buffer.from(`user=a@b.c\u0001auth=Bearer ${token}\u0001\u0001`).toString('base64') }],
  ['base64url', { blob: Buffer.from(`xy${umlauts}`).toString('base64url') }],
  ['hex', { blob: Buffer.from(token).toString('hex') }],
  ['a number', { pin: Number(digits) }],
  ['JSON in a text', { body: JSON.stringify({ password }) }],
  ['JSON in JSON in a text', { body: JSON.stringify({ inner: token }) }],
  ['a message of an error', { error: new Error(`login with ${password} failed`) }],
  ['a cause of an error', { error: new Error('failed', { cause: new Error(`was ${token}`) }) }],
  ['a HubError', { error: testErrors.REFUSED({ text: token }) }],
  ['an object that contains itself', circular],
  ['bytes', { bytes: Buffer.from(password) }],
  ['a bigint', { pin: BigInt(digits) }],
]

test.each(plantings)('a secret in %s never comes out', (_where, planted) => {
  for (const format of ['json', 'text'] as const) {
    const { log, written, recent } = logTo(format)
    log.with({ planted }).error('login.failed')
    log.info(`seen ${token}`, { planted })
    const out = written.join('') + JSON.stringify(recent())
    for (const secret of secrets) {
      expect(out).not.toContain(secret)
      expect(out).not.toContain(JSON.stringify(secret).slice(1, -1))
      expect(out).not.toContain(encodeURIComponent(secret))
      for (const prefix of ['', 'x', 'xy', 'user:']) {
        const base64 = Buffer.from(prefix + secret).toString('base64')
        expect(out).not.toContain(base64.slice(4, -4))
      }
    }
    expect(written).toHaveLength(2)
  }
})

test('a secret in base64 is found whatever stands before and after it', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 8 }), fc.string(), fc.string(), (secret, before, after) => {
      const mask = createMask(() => [secret])
      const base64 = Buffer.from(before + secret + after).toString('base64')
      const masked = mask.text(base64)
      expect(masked).toContain(maskText)
      // At most the two letters at each edge, which are shared with the neighbours, stay.
      const from = Math.ceil((Buffer.byteLength(before) * 4) / 3) + 2
      const to = Math.floor((Buffer.byteLength(before + secret) * 4) / 3) - 2
      expect(masked).not.toContain(base64.slice(from, to))
    }),
  )
})

test('a secret that is loaded later is masked from then on', () => {
  const loaded: string[] = []
  const mask = createMask(() => loaded)
  expect(mask.text('key is s3cret-key')).toBe('key is s3cret-key')
  loaded.push('s3cret-key')
  expect(mask.text('key is s3cret-key')).toBe('key is ***')
})

test('short values are left alone, or every line would be blotted out', () => {
  expect(createMask(() => ['', 'a', 'abc']).text('a line about abc')).toBe('a line about abc')
})

test('line ends and escape sequences in values cannot fake a line', () => {
  const hostile = 'ok\n09:00:00.000 INFO login.succeeded\r\n\u001B[2J\u009B31m\u202Egnp.exe\u2028'
  const { log, written } = logTo('text')
  log.info(hostile, { [hostile]: hostile, list: [hostile] })
  expect(written).toHaveLength(1)
  // oxlint-disable-next-line no-control-regex
  expect(written[0]?.trimEnd()).not.toMatch(/[\u0000-\u001F\u007F-\u009F\u2028-\u202E]/)
})

test('a JSON line is one object with time, level, event and the fields', () => {
  const { log, written } = logTo('json')
  log.with({ flow: 'orders' }).warn('delivery.failed', { attempt: 2, level: 'mine', text: 'a\nb' })
  expect(JSON.parse(written[0] ?? '')).toEqual({
    level: 'warn',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    flow: 'orders',
    attempt: 2,
    level_: 'mine',
    text: 'a\nb',
    event: 'delivery.failed',
  })
})

test('whoever follows sees lines below the level of the output, and only until the end', () => {
  const { log, written, follow, recent } = logTo('json', 'warn')
  const seen: string[] = []
  log.debug('before')
  const end = follow('debug', line => seen.push(line.event))
  log.debug('while')
  end()
  log.debug('after')
  log.error('bad')
  expect(seen).toEqual(['while'])
  expect(written).toHaveLength(1)
  expect(recent().map(line => line.event)).toEqual(['bad'])
})

test('only the newest lines are kept', () => {
  const { log, recent } = logTo('json')
  for (let count = 0; count < 3 * logLimits.keptLines; count++) log.info('tick', { count })
  const counts = recent().map(line => line.fields.count)
  expect(counts).toHaveLength(logLimits.keptLines)
  expect(counts.at(-1)).toBe(3 * logLimits.keptLines - 1)
})

test('a secret of a service key is masked by its shape, since its value is kept nowhere', () => {
  const { log, written } = logTo('json')
  const secret = `hubk0123456789ab${'aZ9'.repeat(14)}x`
  log.info('caller.odd', { url: `/flows/x?secret=${secret}`, user: secret, other: 'hubk is no secret' })
  expect(written.join('')).not.toContain(secret.slice(16))
  expect(written.join('')).toContain('hubk is no secret')
})
