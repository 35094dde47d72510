import { afterEach, expect, test } from 'vitest'
import type { Claims } from '../sign-in/token.ts'
import { type Conversation, openConversation, sasl } from './conversation.ts'
import { startExchangeImap } from './exchange-imap.ts'

const stops: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop()
})

test.each([
  ['ALL', '1 2 3 4'],
  ['UNSEEN', '2 3 4'],
  ['NOT SEEN UNFLAGGED', '3 4'],
  ['UID 2:3', '2 3'],
  ['2:*', '2 3 4'],
  ['FROM ALICE', '1 3'],
  ['SUBJECT "purchase order"', '1'],
  ['HEADER message-id 3@x', '3'],
  ['HEADER X-Folded "over two"', '2'],
  ['OR FROM bob FLAGGED', '2'],
  ['(OR UID 1 UID 4) NOT UID 4', '1'],
  ['SINCE 2-Mar-2026', '3 4'],
  ['BEFORE 2-Mar-2026', '1 2'],
  ['ON 2-Mar-2026', '3'],
  ['LARGER 1000', '4'],
  ['BODY "needle"', '4'],
  ['CHARSET UTF-8 KEYWORD $MDNSent', ''],
  ['SUBJECT {8+}\r\npurchase', '1'],
])('UID SEARCH %s finds %j', async (key, found) => {
  const { say } = await start()
  expect(await say(`a UID SEARCH ${key}`)).toEqual([`* SEARCH ${found}`.trim(), 'a OK SEARCH completed.'])
})

test.each([
  'UID SEARCH',
  'UID SEARCH FROM',
  'UID SEARCH SINCE yesterday',
  `UID SEARCH ${'NOT '.repeat(40)}ALL`,
  'UID SEARCH (ALL',
  'UID FETCH 1',
  'UID FETCH 1 (BODY[)',
  'UID FETCH 1 (BODY[1.2])',
  'UID FETCH 1 (BODY.PEEK[]<5>)',
  'UID FETCH 1:0 (FLAGS)',
  'UID STORE 1 FLAG (\\Seen)',
  'UID STORE 1 +FLAGS (\\Seen',
  'UID MOVE 1',
  'SELECT &bad',
  'SELECT a b',
  'STATUS INBOX (WEATHER)',
  'APPEND INBOX "no date" {1+}\r\nx',
  'APPEND INBOX nothing',
  'LIST ""',
])('%j is answered with "Command Argument Error. 11" and the session goes on', async command => {
  const { say } = await start()
  expect(await say(`a ${command}`)).toEqual(['a BAD Command Argument Error. 11'])
  expect(await say('b NOOP')).toEqual(['b OK NOOP completed.'])
})

test.each([
  [
    'BODY.PEEK[HEADER.FIELDS (From X-No)]',
    'BODY[HEADER.FIELDS (From X-No)] {17}\r\nFrom: Alice <a>\r\n\r\n)'.replace('{17}', '{19}'),
  ],
  ['BODY.PEEK[TEXT]', 'BODY[TEXT] {4}\r\nhi\r\n)'],
  ['BODY.PEEK[TEXT]<1.2>', 'BODY[TEXT]<1> {2}\r\ni\r)'],
  ['BODY.PEEK[TEXT]<9.2>', 'BODY[TEXT]<9> {0}\r\n)'],
  ['INTERNALDATE', 'INTERNALDATE " 1-Mar-2026 10:00:00 +0000")'],
  ['(ENVELOPE BODYSTRUCTURE)', 'ENVELOPE NIL BODYSTRUCTURE NIL)'],
])('FETCH %s', async (item, expected) => {
  const { say } = await start()
  const lines = await say(`a UID FETCH 1 ${item}`)
  expect(lines.slice(0, -1).join('\r\n')).toBe(`* 1 FETCH (UID 1 ${expected}`)
})

test('reading without PEEK marks as seen and says so; EXAMINE marks nothing', async () => {
  const { say, twin } = await start()
  expect((await say('a UID FETCH 2 BODY[TEXT]')).join('|')).toContain('FLAGS (\\Flagged \\Seen)')
  await say('b EXAMINE INBOX')
  await say('c UID FETCH 3 BODY[TEXT]')
  expect(twin.list('orders@contoso.com')[2]?.flags.size).toBe(0)
  expect(await say('d UID STORE 3 +FLAGS (\\Seen)')).toEqual(['d NO The folder is open for reading only.'])
})

test('two clients: sequence numbers of one stay until it is told what the other did', async () => {
  const { say, logIn } = await start()
  const other = await logIn()
  await other.say('a SELECT INBOX')
  expect(await other.say('b UID MOVE 1:2 Archive')).toEqual([
    expect.stringMatching(/^\* OK \[COPYUID \d+ 1:2 1:2\]$/),
    '* 2 EXPUNGE',
    '* 1 EXPUNGE',
    'b OK MOVE completed.',
  ])
  await other.say('c APPEND INBOX (\\Seen) {2+}\r\nhi')
  // FETCH does not say who is gone: those have no row, the others keep their numbers.
  expect(await say('d FETCH 1:4 (UID)')).toEqual([
    '* 3 FETCH (UID 3)',
    '* 4 FETCH (UID 4)',
    '* 5 EXISTS',
    'd OK FETCH completed.',
  ])
  expect(await say('e NOOP')).toEqual(['* 2 EXPUNGE', '* 1 EXPUNGE', 'e OK NOOP completed.'])
  await other.say('f UID STORE 3 +FLAGS.SILENT (\\Answered free-keyword)')
  expect(await say('g NOOP')).toEqual(['* 1 FETCH (FLAGS (\\Answered) UID 3)', 'g OK NOOP completed.'])
  expect(await say('h FETCH 4 (UID)')).toEqual(['h BAD The specified message set is invalid.'])
})

test('folders: create, list, rename with children, delete; a new folder of an old name has a new UIDVALIDITY', async () => {
  const { say } = await start()
  await say('a CREATE Processed/2026')
  await say('b CREATE Processed')
  expect(await say('c LIST "" "Pro%"')).toEqual(['* LIST (\\HasChildren) "/" Processed', 'c OK LIST completed.'])
  expect((await say('d LIST "" "*2026"'))[0]).toBe('* LIST (\\HasNoChildren) "/" Processed/2026')
  expect(await say('e LIST "" ""')).toEqual(['* LIST (\\Noselect) "/" ""', 'e OK LIST completed.'])
  await say('f UID COPY 1 Processed/2026')
  expect(await say('g RENAME Processed "Done now"')).toEqual(['g OK RENAME completed.'])
  expect((await say('h STATUS "Done now/2026" (MESSAGES UNSEEN UIDNEXT)'))[0]).toBe(
    '* STATUS "Done now/2026" (MESSAGES 1 UNSEEN 0 UIDNEXT 2)',
  )
  const validity = async () => Number(/\d+/.exec((await say('i STATUS x (UIDVALIDITY)'))[0] ?? '')?.[0])
  await say('j CREATE x')
  const first = await validity()
  expect(await say('k DELETE x')).toEqual(['k OK DELETE completed.'])
  await say('l CREATE x')
  expect(await validity()).toBeGreaterThan(first)
  expect((await say('m UID MOVE 1 Nowhere')).at(-1)).toMatch(/^m NO \[TRYCREATE\] /)
  expect(await say('n DELETE INBOX')).toEqual(['n NO DELETE failed.'])
  expect(await say('o SELECT Nowhere')).toEqual(["o NO Nowhere doesn't exist."])
  expect(await say('p CLOSE')).toEqual(['p BAD Command received in Invalid state.'])
})

test('a mailbox has bounds', async () => {
  const { say, twin } = await start({ mailsPerFolder: 5, appendBytes: 100 })
  expect((await say('a APPEND INBOX {101}')).at(-1)).toBe('a BAD Command Error. 12')
  expect((await say('b APPEND INBOX {1+}\r\nx')).at(-1)).toMatch(/^b OK \[APPENDUID \d+ 5\]/)
  expect((await say('c APPEND INBOX {1+}\r\nx')).at(-1)).toMatch(/^c NO \[LIMIT\] .*5 mails in INBOX/)
  expect(() => twin.deliver('orders@contoso.com', Buffer.from('x'))).toThrow(/5 mails in INBOX/)
  expect(() => twin.deliver('nobody@contoso.com', Buffer.from('x'))).toThrow(/no folder INBOX in a mailbox nobody/)
})

test('contents that are made when read cost nothing until then', async () => {
  const { say, twin } = await start()
  let madeCount = 0
  for (let index = 0; index < 2_000; index += 1) {
    twin.deliver('orders@contoso.com', () => {
      madeCount += 1
      return Buffer.from(`Subject: ${index}\r\n\r\nx`)
    })
  }
  // A view learns of new mail at the end of a command, so the first search does not find it yet.
  expect(await say('0 UID SEARCH UNSEEN')).toEqual(['* SEARCH 2 3 4', '* 2004 EXISTS', '0 OK SEARCH completed.'])
  expect((await say('a UID SEARCH UNSEEN'))[0]?.split(' ')).toHaveLength(2_005)
  expect(madeCount).toBe(0)
  expect((await say('b UID FETCH 2004 (BODY.PEEK[])')).slice(1, 2)).toEqual(['Subject: 1999'])
  expect(madeCount).toBe(1)
})

async function start(limits = {}) {
  const twin = await startExchangeImap({
    signIn: { verify: token => (token === 'good' ? (owner as Claims) : undefined) },
    mailboxes: { 'orders@contoso.com': {} },
    limits,
  })
  stops.push(() => twin.stop())
  const put = (text: string, day: number, flags: readonly string[] = []) =>
    twin.deliver('orders@contoso.com', Buffer.from(text), { flags, receivedAt: Date.UTC(2026, 2, day, 10) })
  put('From: Alice <a>\r\nSubject: Purchase order 1\r\n\r\nhi\r\n', 1, ['\\Seen'])
  put('From: Bob <b>\r\nX-Folded: over\r\n two lines\r\n\r\nhi', 1, ['\\Flagged'])
  put('From: alice\r\nMessage-ID: <3@x>\r\n\r\nhi', 2)
  put(`no header at all\r\n\r\n${'needle '.repeat(300)}`, 3)
  const logIn = async (): Promise<Conversation> => {
    const conversation = await openConversation(twin.port)
    stops.push(() => conversation.end())
    await conversation.say(`l AUTHENTICATE XOAUTH2 ${sasl('orders@contoso.com', 'good')}`)
    return conversation
  }
  const conversation = await logIn()
  await conversation.say('s SELECT INBOX')
  return { twin, say: conversation.say, logIn }
}

const owner: Partial<Claims> = {
  aud: 'https://outlook.office.com',
  upn: 'orders@contoso.com',
  scp: 'IMAP.AccessAsUser.All',
  exp: Number.MAX_SAFE_INTEGER,
}
