import fc from 'fast-check'
import { expect, test } from 'vitest'
import { makeCommandReader } from './command-reader.ts'

const limits = { commandBytes: 10_240, appendBytes: 100_000 }

test.each([
  ['a command', 'a1 noop\r\n', ['a1 NOOP']],
  ['two at once', 'a NOOP\r\nb NOOP\r\n', ['a NOOP', 'b NOOP']],
  ['a UID command', 'a uid fetch 1 (FLAGS)\r\n', ['a UID FETCH']],
  ['a bare line feed', 'a NOOP\nb NOOP\r\n', ['a NOOP', 'b NOOP']],
  ['an empty line', '\r\nb NOOP\r\n', ['* not a command', 'b NOOP']],
  ['a tag alone', 'a\r\nb NOOP\r\n', ['* not a command', 'b NOOP']],
  ['a tag with a bracket', 'a( NOOP\r\n', ['* not a command']],
  ['a long command', `a UID FETCH ${'1'.repeat(10_240)}\r\nb NOOP\r\n`, ['a too long', 'b NOOP']],
  ['a long line without any blank', `${'x'.repeat(50_000)}\r\nb NOOP\r\n`, ['* too long', 'b NOOP']],
  [
    'a literal that must be asked for and is too long',
    'a LOGIN {10241}\r\nb NOOP\r\n',
    ['a literal too long', 'b NOOP'],
  ],
  ['a literal too long that comes unasked', 'a APPEND x {100001+}\r\n', ['a literal too long, fatal']],
  ['the client going away in a literal', 'a APPEND x {10+}\r\n12345', []],
  ['the client going away in a line', 'a NOOP', []],
  ['a brace that is no literal', 'a SEARCH SUBJECT "{5}"\r\n', ['a SEARCH']],
])('%s', async (_, octets, expected) => {
  expect(await readAll([Buffer.from(octets, 'latin1')])).toEqual(expected)
})

test('however the octets are cut, the commands are the same; literals keep every octet', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 300 }),
      fc.array(fc.nat({ max: 400 }), { maxLength: 8 }),
      async (literal, cuts) => {
        const octets = Buffer.concat([
          Buffer.from(`a APPEND "In box" (\\Seen) {${literal.length}+}\r\n`),
          literal,
          Buffer.from('\r\nb UID SEARCH ALL\r\n'),
        ])
        const places = [0, ...cuts.filter(cut => cut < octets.length).toSorted((a, b) => a - b), octets.length]
        const chunks = places.slice(1).map((end, index) => octets.subarray(places[index], end))
        const reader = makeCommandReader(iterate(chunks), () => {})
        const command = await reader.command(limits, async () => {})
        if (!command || 'problem' in command) throw new Error('not read')
        const { text } = command
        text.space()
        expect(text.astring()).toBe('In box')
        text.space()
        expect(text.flags()).toEqual(['\\Seen'])
        text.space()
        expect(text.literal().equals(literal)).toBe(true)
        text.end()
        expect(await reader.command(limits, async () => {})).toMatchObject({ tag: 'b', verb: 'SEARCH', isUid: true })
      },
    ),
  )
})

async function readAll(chunks: readonly Buffer[]): Promise<string[]> {
  const reader = makeCommandReader(iterate(chunks), () => {})
  const seen: string[] = []
  for (let count = 0; count < 10; count += 1) {
    const command = await reader.command(limits, async () => {})
    if (!command) break
    if ('problem' in command) seen.push(`${command.tag} ${command.problem}${command.isFatal ? ', fatal' : ''}`)
    else seen.push(`${command.tag} ${command.isUid ? 'UID ' : ''}${command.verb}`)
    if ('isFatal' in command && command.isFatal) break
  }
  return seen
}

async function* iterate(chunks: readonly Buffer[]): AsyncGenerator<Buffer, undefined> {
  for (const chunk of chunks) yield chunk
  return undefined
}
