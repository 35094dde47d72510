import { afterEach, expect, test } from 'vitest'
import { startSignIn } from '../sign-in/sign-in.ts'
import { type Conversation, openConversation, sasl } from './conversation.ts'
import { type ExchangeImapOptions, startExchangeImap } from './exchange-imap.ts'
import type { ImapFaultDocument } from './faults.ts'

const stops: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop()
})

const mail = 'Subject: x\r\n\r\n0123456789'

test('throttled twice: the hint is given, nothing is done, then all is well', async () => {
  const { twin, say } = await start({ throttle: { commands: ['STORE'], times: 2 } })
  for (const tag of ['a', 'b']) {
    expect(await say(`${tag} UID STORE 1 +FLAGS.SILENT (\\Seen)`)).toEqual([
      `${tag} BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds`,
    ])
  }
  expect(twin.list('orders@contoso.com')[0]?.flags.size).toBe(0)
  expect(await say('c UID STORE 1 +FLAGS.SILENT (\\Seen)')).toEqual(['c OK STORE completed.'])
})

test('throttled with a BYE ends the connection', async () => {
  const { say, rest } = await start({ throttle: { commands: ['SEARCH'], bye: true, backoffMs: 5 } })
  expect(await say('a UID SEARCH ALL')).toEqual(['* BYE Request is throttled. Suggested Backoff Time: 5 milliseconds'])
  expect(await rest()).toBe('')
})

test('a move that is refused moves nothing; a server that is unavailable says so', async () => {
  const { twin, say } = await start({ refuse: { commands: ['MOVE', 'NOOP'], times: 2 } })
  expect(await say('a UID MOVE 1 Archive')).toEqual(['a NO Server Unavailable. 15'])
  expect(await say('b NOOP')).toEqual(['b NO Server Unavailable. 15'])
  expect(twin.list('orders@contoso.com')).toHaveLength(3)
})

test('a lost answer: the mail is moved, and the client does not hear of it', async () => {
  const { twin, say } = await start({ loseAnswer: { commands: ['MOVE'] } })
  const heard = await say('a UID MOVE 1 Archive')
  expect(heard.filter(line => line.startsWith('a '))).toEqual([])
  expect(twin.list('orders@contoso.com', 'Archive')).toHaveLength(1)
})

test('the connection drops after so many rows', async () => {
  const { say } = await start({ drop: { afterRows: 2 } })
  const lines = await say('a UID FETCH 1:* (FLAGS)')
  expect(lines).toEqual(['* 1 FETCH (UID 1 FLAGS ())', '* 2 FETCH (UID 2 FLAGS ())'])
})

test.each([0, 1, 12, 23])('a literal is cut after %i octets', async atOctet => {
  const { send, rest } = await start({ cutLiteral: { atOctet } })
  send('a UID FETCH 1 (UID BODY.PEEK[])\r\n')
  expect(await rest()).toBe(`* 1 FETCH (UID 1 BODY[] {${mail.length}}\r\n${mail.slice(0, atOctet)}`)
})

test('a row is missing, and FETCH is OK all the same; SEARCH names the UID', async () => {
  const { say } = await start({ missingRows: [2] })
  expect((await say('a UID SEARCH UNSEEN'))[0]).toBe('* SEARCH 1 2 3')
  const lines = await say('b UID FETCH 1:3 (UID BODY.PEEK[HEADER])')
  expect(lines.filter(line => line.startsWith('* '))).toEqual([
    '* 1 FETCH (UID 1 BODY[HEADER] {14}',
    '* 3 FETCH (UID 3 BODY[HEADER] {14}',
  ])
  expect(lines.at(-1)).toBe('b OK FETCH completed.')
})

test('a mail that Exchange cannot render comes as its synthetic notice', async () => {
  const { say } = await start({ syntheticMails: [2] })
  const text = (await say('a UID FETCH 2 (UID BODY[])')).join('\r\n')
  expect(text).toContain('Retrieval using the IMAP4 protocol failed for the following message: 2')
  expect(text).not.toContain('0123456789')
})

test('the size is an estimate and the UID follows the literal', async () => {
  const { say } = await start({ sizeEstimated: true, uidAfterLiteral: true })
  const lines = await say('a UID FETCH 1:2 (UID RFC822.SIZE BODY.PEEK[])')
  expect(lines.filter(line => line.endsWith(')'))).toEqual(['0123456789 UID 1)', '0123456789 UID 2)'])
  const sizes = lines.flatMap(line => /RFC822\.SIZE (\d+)/.exec(line)?.[1] ?? []).map(Number)
  expect(sizes[0]).toBeGreaterThan(mail.length)
  expect(sizes).not.toContain(mail.length)
})

test('IDLE is accepted and then silent', async () => {
  const { twin, say, unread, signIn } = await start({ idleSilent: true })
  expect(await say('a IDLE')).toEqual(['+ IDLE accepted, awaiting DONE command.'])
  twin.deliver('orders@contoso.com', Buffer.from(mail))
  // Somebody else's whole round trip later there is still nothing.
  const other = await logIn(twin.port, signIn.issue({ user: 'orders@contoso.com' }))
  await other.say('b NOOP')
  expect(unread()).toBe('')
  expect(await say('DONE', 'a')).toEqual(['* 4 EXISTS', 'a OK IDLE completed.'])
})

test('the token of an open session ends: BYE at the next command, at once while idling', async () => {
  const { twin, say, rest, signIn } = await start({})
  twin.setFaults({ tokenExpired: true })
  expect(await say('a NOOP')).toEqual(['* BYE Session invalidated - AccessTokenExpired'])
  expect(await rest()).toBe('')

  const idling = await logIn(twin.port, signIn.issue({ user: 'orders@contoso.com', expiresInMs: 2_000 }))
  await idling.say('a SELECT INBOX')
  expect(await idling.say('b IDLE')).toHaveLength(1)
  expect(await idling.rest()).toBe('* BYE Session invalidated - AccessTokenExpired\r\n')

  const expired = await logIn(twin.port, signIn.issue({ user: 'orders@contoso.com' }))
  signIn.setFaults({ expireTokens: true })
  expect(await expired.say('a NOOP')).toEqual(['* BYE Session invalidated - AccessTokenExpired'])
})

test('a new UIDVALIDITY ends the session, and the mails have other numbers', async () => {
  const { twin, say, signIn } = await start({})
  await say('a UID MOVE 1 Archive')
  const before = twin.mailboxes.get('orders@contoso.com')?.folder('INBOX')?.uidValidity ?? 0
  twin.setFaults({ uidValidityChanged: { mailbox: 'orders@contoso.com' } })
  expect(await say('b NOOP')).toEqual(['* BYE Connection closed. 14'])
  const again = await logIn(twin.port, signIn.issue({ user: 'orders@contoso.com' }))
  const lines = await again.say('c SELECT INBOX')
  const after = Number(/UIDVALIDITY (\d+)/.exec(lines.join('\n'))?.[1])
  expect(after).toBeGreaterThan(before)
  expect((await again.say('d UID SEARCH ALL'))[0]).toBe('* SEARCH 1 2')
})

test('above the number of connections, and when told so, a log-in is not connected', async () => {
  const { twin, signIn } = await start({ connectionsMax: 1 })
  const token = signIn.issue({ user: 'orders@contoso.com' })
  const second = await logIn(twin.port, token)
  expect(await second.say('a SELECT INBOX')).toEqual(['a BAD User is authenticated but not connected.'])
  twin.setFaults({ notConnected: { times: 1 } })
  const third = await logIn(twin.port, token)
  expect(await third.say('a SELECT INBOX')).toEqual(['a BAD User is authenticated but not connected.'])
  const fourth = await logIn(twin.port, token)
  expect((await fourth.say('a SELECT INBOX')).at(-1)).toBe('a OK [READ-WRITE] SELECT completed.')
})

test('without MOVE the client has to copy, mark and expunge; others marks stay', async () => {
  const { twin, say } = await start({ moveMissing: true })
  expect((await say('a CAPABILITY'))[0]).not.toContain('MOVE')
  expect(await say('b UID MOVE 1 Archive')).toEqual(['b BAD Command Error. 12'])
  await say('c UID STORE 1:2 +FLAGS.SILENT (\\Deleted)')
  expect((await say('d UID COPY 1 Archive')).at(-1)).toMatch(/^d OK \[COPYUID \d+ 1 1\] COPY completed\.$/)
  expect(await say('e UID EXPUNGE 1')).toEqual(['* 1 EXPUNGE', 'e OK EXPUNGE completed.'])
  expect(twin.list('orders@contoso.com').map(kept => kept.uid)).toEqual([2, 3])
})

test('slow writing and slow reading lose nothing', async () => {
  const { twin, say } = await start({ slowWrite: { bytesPerSecond: 4_000 }, slowRead: { bytesPerSecond: 4_000 } })
  const startedAt = performance.now()
  const content = 'x'.repeat(800)
  expect(await say(`a APPEND INBOX {${content.length}+}\r\n${content}`)).toHaveLength(2)
  expect(performance.now() - startedAt).toBeGreaterThan(150)
  expect(Buffer.from(twin.list('orders@contoso.com').at(-1)?.content() ?? []).toString()).toBe(content)
  const lines = await say('b UID FETCH 4 (BODY.PEEK[])')
  expect(lines[1]).toBe(`${content})`)
})

test('a connection that is cut before its greeting', async () => {
  const { twin } = await start({})
  twin.setFaults({ refuseConnection: {} })
  const conversation = await openConversation(twin.port)
  expect(await conversation.rest()).toBe('')
})

async function start(faults: ImapFaultDocument, options: Partial<ExchangeImapOptions> = {}) {
  const signIn = await startSignIn()
  const twin = await startExchangeImap({ signIn, mailboxes: { 'orders@contoso.com': {} }, ...options })
  stops.push(
    () => signIn.stop(),
    () => twin.stop(),
  )
  for (let index = 0; index < 3; index += 1) twin.deliver('orders@contoso.com', Buffer.from(mail))
  const conversation = await logIn(twin.port, signIn.issue({ user: 'orders@contoso.com' }))
  await conversation.say('s SELECT INBOX')
  twin.setFaults(faults)
  return { twin, signIn, ...conversation }
}

async function logIn(port: number, token: string): Promise<Conversation> {
  const conversation = await openConversation(port)
  stops.push(() => conversation.end())
  await conversation.say(`l AUTHENTICATE XOAUTH2 ${sasl('orders@contoso.com', token)}`)
  return conversation
}
