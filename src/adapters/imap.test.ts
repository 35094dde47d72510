import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { expressionErrors } from '../flow/expression-errors.ts'
import { defineErrors } from '../kernel/error.ts'
import { imap } from './imap.ts'
import { archive, mail, SenderWorld, soon } from './imap-sender-world.ts'

let world: SenderWorld

beforeEach(() => {
  world = new SenderWorld()
})
afterEach(() => world.close())

test('mails are handed over as they came, and moved once they were delivered', async () => {
  world.server.receive(mail('one', 'Cc: boss@customer.example'))
  world.server.receive('odd\n.\r\r\0 no header at all')
  await world.start(archive)
  await soon(() => world.uids('Processed')).toEqual([1, 2])
  expect(world.uids()).toEqual([])
  const [first, second] = world.accepted
  expect(first).toMatchObject({
    type: 'message/rfc822',
    text: mail('one', 'Cc: boss@customer.example'),
    sourceKey: 'orders@contoso.com/INBOX/1/1',
    repeat: { key: 'orders@contoso.com <one@customer.example>', refuse: false },
    terms: ['one@customer.example'],
    attributes: {
      from: 'a@customer.example',
      to: ['orders@contoso.com', 'boss@customer.example'],
      subject: 'one',
      mailbox: 'orders@contoso.com',
      folder: 'INBOX',
      uid: 1,
    },
  })
  expect(second).toMatchObject({ text: 'odd\n.\r\r\0 no header at all', terms: [], attributes: { from: '', to: [] } })
  expect([world.troubles, world.downs, world.moveCount]).toEqual([[], [], 2])
})

test('nothing is marked before the delivery has ended; then each mail goes where its end says', async () => {
  for (const subject of ['a', 'b', 'c', 'd', 'e']) world.server.receive(mail(subject))
  world.ending = () => undefined
  await world.start(archive)
  await soon(() => world.accepted.length).toBe(5)
  await new Promise(resolve => setTimeout(resolve, 300))
  expect(world.uids()).toEqual([1, 2, 3, 4, 5])
  expect(world.flags().join('')).toBe('')
  for (const [index, state] of (['delivered', 'dropped', 'skipped', 'rejected', 'set-aside'] as const).entries()) {
    world.end(`D${index + 1}`, state)
  }
  await soon(() => world.server.folder('Processed').mails.length).toBe(3)
  await soon(() => world.server.folder('Failed').mails.length).toBe(2)
  expect(world.server.folder('Failed').mails.map(kept => kept.bytes.toString())).toEqual([mail('d'), mail('e')])
})

test('marking as read: a failed mail stays, flagged, and is not taken again', async () => {
  world.server.receive(mail('good'))
  world.server.receive(mail('bad'))
  world.ending = taken => (taken.text.includes('bad') ? 'set-aside' : 'delivered')
  await world.start()
  await soon(() => world.flags()).toEqual(['\\Seen', '\\Flagged \\Seen'])
  await new Promise(resolve => setTimeout(resolve, 250))
  expect(world.subjects()).toEqual(['good', 'bad'])
})

test('deleting removes exactly the delivered mails', async () => {
  world.server.receive(mail('old'))
  world.server.folder('INBOX').mails[0]?.flags.add('\\Deleted').add('\\Seen')
  world.server.receive(mail('new'))
  await world.start({ done: { delete: true } })
  await soon(() => world.uids()).toEqual([1])
})

test('after a crash between the delivery and the mark nothing is taken twice', async () => {
  world.server.receive(mail('delivered'))
  world.server.receive(mail('rejected'))
  world.server.receive(mail('working'))
  world.known.set('orders@contoso.com/INBOX/1/1', { id: 'X1', state: 'delivered' })
  world.known.set('orders@contoso.com/INBOX/1/2', { id: 'X2', state: 'rejected' })
  world.known.set('orders@contoso.com/INBOX/1/3', { id: 'X3', state: 'working' })
  await world.start(archive)
  await soon(() => world.server.folder('Processed').mails.length).toBe(1)
  await soon(() => world.server.folder('Failed').mails.length).toBe(1)
  expect(world.uids()).toEqual([3])
  world.end('X3', 'delivered')
  await soon(() => world.uids()).toEqual([])
  expect(world.accepted).toEqual([])
  expect(world.server.lines.filter(line => line.startsWith('UID FETCH'))).toEqual([])
})

test('a mail that comes later is noticed by IDLE long before the next search', async () => {
  await world.start({ every: '1h' })
  await soon(() => world.server.lines.at(-1)).toBe('IDLE')
  world.server.receive(mail('pushed'))
  await soon(() => world.flags()).toEqual(['\\Seen'])
})

test('a server that ends IDLE as soon as it begins is not asked without a pause', async () => {
  world.server.when(/^IDLE$/, 'OK IDLE completed')
  await world.start({ every: '200ms' })
  await soon(() => world.server.lines.filter(line => line.startsWith('UID SEARCH')).length >= 4).toBe(true)
  expect(world.server.lines.filter(line => line === 'IDLE').length).toBeLessThan(10)
  world.server.receive(mail('polled'))
  await soon(() => world.flags()).toEqual(['\\Seen'])
})

test('without IDLE the folder is searched at every interval', async () => {
  world.server.capabilities = 'IMAP4rev1 AUTH=PLAIN UIDPLUS MOVE'
  await world.start()
  await soon(() => world.ups.length).toBe(1)
  world.server.receive(mail('polled'))
  await soon(() => world.flags()).toEqual(['\\Seen'])
})

test('the same mail under a new UIDVALIDITY is a repeat; the same mail sent again is not', async () => {
  world.server.receive(mail('order'))
  await world.start({ done: { mark: 'read' } })
  await soon(() => world.flags()).toEqual(['\\Seen'])
  await world.stop()
  // The folder was rebuilt: other UIDs, flags lost.
  const folder = world.server.folder('INBOX')
  folder.uidValidity = 2
  folder.mails = []
  folder.uidNext = 500
  world.server.receive(mail('order'))
  await world.start({ done: { mark: 'read' } })
  await soon(() => world.flags()).toEqual(['\\Seen'])
  expect(world.subjects()).toEqual(['order'])
  world.server.receive(mail('order'))
  await soon(() => world.flags()).toEqual(['\\Seen', '\\Seen'])
  expect(world.subjects()).toEqual(['order', 'order'])
})

test('under a new UIDVALIDITY the mail that another mailbox was sent, too, is no repeat', async () => {
  const invoices = { user: 'invoices@contoso.com', ...archive }
  await world.start(invoices)
  await soon(() => world.ups.length).toBe(1)
  await world.stop()
  world.server.receive(mail('to both'))
  await world.start(archive)
  await soon(() => world.uids('Processed')).toEqual([1])
  await world.stop()
  // The other mailbox was moved to another server before the hub had read its copy.
  Object.assign(world.server.folder('INBOX'), { uidValidity: 2, uidNext: 1 })
  world.server.receive(mail('to both'))
  await world.start(invoices)
  await soon(() => world.uids('Processed')).toEqual([1, 2])
  expect(world.accepted.map(({ attributes }) => attributes['mailbox'])).toEqual([
    'orders@contoso.com',
    'invoices@contoso.com',
  ])
})

test('a UIDVALIDITY that changes in the midst of a session ends it, and no mail is taken for another', async () => {
  world.server.receive(mail('old'))
  await world.start(archive)
  await soon(() => world.uids('Processed')).toEqual([1])
  Object.assign(world.server.folder('INBOX'), { uidValidity: 2, uidNext: 1 })
  world.server.say('* OK [UIDVALIDITY 2] numbered anew')
  world.server.receive(mail('new'))
  await soon(() => world.uids('Processed')).toEqual([1, 2])
  expect(world.subjects()).toEqual(['old', 'new'])
  expect(world.downs).toMatchObject([
    { code: 'IMAP_CONNECTION_LOST', message: expect.stringContaining('UIDVALIDITY 1') },
  ])
})

describe('a folder that is deleted while the server keeps it open is noticed within minutes', () => {
  test('the one that was made anew under its name is read', async () => {
    world.server.receive(mail('old'))
    await world.start({ ...archive, every: '100ms' })
    await soon(() => world.uids('Processed')).toEqual([1])
    world.server.folders.set('INBOX', { uidValidity: 2, uidNext: 1, mails: [] })
    world.server.receive(mail('new'))
    world.aheadMs = 6 * 60_000
    await soon(() => world.uids('Processed')).toEqual([1, 2])
    expect(world.subjects()).toEqual(['old', 'new'])
    expect(world.downs).toEqual([])
  })

  test('where there is none any more the link says so', async () => {
    await world.start({ ...archive, every: '100ms' })
    await soon(() => world.ups.length).toBe(1)
    world.server.folders.delete('INBOX')
    world.aheadMs = 6 * 60_000
    await soon(() => world.downs.map(({ code }) => code)).toContain('IMAP_FOLDER_MISSING')
  })
})

test('a refused move is shown, tried again, and never forgotten', async () => {
  world.server.receive(mail('one'))
  world.server.receive(mail('two'))
  world.server.when(/^UID MOVE/, 'NO [OVERQUOTA] full', 9)
  await world.start(archive)
  await soon(() => world.troubles[0]).toMatchObject({
    code: 'IMAP_DONE_REFUSED',
    fields: { count: 2, action: 'move them to "Processed"', answer: expect.stringContaining('full') },
  })
  await soon(() => world.uids('Processed')).toEqual([1, 2])
  expect(world.accepted.length).toBe(2)
})

describe('a mailbox that refuses every move', () => {
  const purge = () => world.known.clear()
  let isRefusing = true
  beforeEach(() => {
    isRefusing = true
    world.server.when(/^UID MOVE/, tag => (isRefusing ? `${tag} NO [OVERQUOTA] full` : undefined))
  })

  test('is not read again, however long its deliveries are gone and however the hub ended', async () => {
    world.server.receive(mail('one'))
    world.server.receive(mail('two'))
    await world.start(archive)
    await soon(() => world.stuck).toMatchObject({ code: 'IMAP_DONE_REFUSED', side: 'sender', fields: { count: 2 } })
    // What was written until here is all that a killed hub leaves.
    const written = new Map(world.memory)
    await world.stop()
    purge()
    world.memory.clear()
    for (const [name, value] of written) world.memory.set(name, value)
    world.server.receive(mail('three'))
    await world.start(archive)
    await soon(() => world.subjects()).toEqual(['one', 'two', 'three'])
    await soon(() => world.troubles.at(-1)?.fields['count']).toBe(3)
    // Freed, it moves them all, and they are forgotten.
    isRefusing = false
    await soon(() => world.uids('Processed')).toEqual([1, 2, 3])
    await soon(() => world.stuck).toBeUndefined()
    await world.stop()
    expect([...world.memory.entries()].filter(([name]) => name.startsWith('leftovers'))).toMatchObject([
      [expect.any(String), { done: '', failed: '' }],
    ])
    expect(world.subjects()).toEqual(['one', 'two', 'three'])
  })

  test('under another UIDVALIDITY means other mails by the same numbers', async () => {
    world.server.receive(mail('one'))
    await world.start(archive)
    await soon(() => world.stuck).toBeDefined()
    await world.stop()
    purge()
    world.server.folders.set('INBOX', { uidValidity: 2, uidNext: 1, mails: [] })
    isRefusing = false
    world.server.receive(mail('other'))
    await world.start(archive)
    await soon(() => world.subjects()).toEqual(['one', 'other'])
  })
})

test('a mail that was on its way when the flow stopped for long is not taken in again', async () => {
  world.ending = () => undefined
  world.server.receive(mail('one'))
  await world.start(archive)
  await soon(() => world.accepted.length).toBe(1)
  await world.stop()
  // It was delivered, kept for its time, and purged while nobody looked into the mailbox.
  world.known.clear()
  await world.start(archive)
  await soon(() => world.uids('Processed')).toEqual([1])
  expect(world.accepted).toHaveLength(1)
})

describe('a folder that may only be read', () => {
  // As Dovecot answers an account without the rights s and t: STORE is OK and changes nothing.
  beforeEach(() => {
    world.server.when(/^SELECT/, (_tag, _line, send) => {
      send('* OK [PERMANENTFLAGS ()] Read-only mailbox.\r\n')
      return undefined
    })
    world.server.when(/^UID STORE/, 'OK done')
  })

  test('is told, and no mail in it is taken twice, however long its delivery is gone', async () => {
    world.server.receive(mail('one'))
    world.server.receive(mail('two'))
    world.ending = ({ attributes }) => (attributes['subject'] === 'two' ? 'set-aside' : 'delivered')
    await world.start({ done: { mark: 'read' } })
    await soon(() => world.stuck).toMatchObject({
      code: 'IMAP_DONE_REFUSED',
      fields: { answer: expect.stringContaining('\\Seen') },
    })
    world.known.clear()
    world.server.receive(mail('three'))
    await soon(() => world.subjects()).toEqual(['one', 'two', 'three'])
    await world.stop()
    world.known.clear()
    await world.start({ done: { mark: 'read' } })
    world.server.receive(mail('four'))
    await soon(() => world.subjects()).toEqual(['one', 'two', 'three', 'four'])
    expect(world.server.lines.filter(line => line.startsWith('UID STORE'))).toEqual([])
  })

  test('is told before a mail is copied out of it that could not be removed', async () => {
    world.server.capabilities = world.server.capabilities.replace(' MOVE', '')
    world.server.receive(mail('one'))
    await world.start(archive)
    await soon(() => world.stuck).toMatchObject({ fields: { answer: expect.stringContaining('\\Deleted') } })
    expect(world.uids('Processed')).toEqual([])
  })
})

test('a server that names no flags, but lets new ones be made, is asked to mark', async () => {
  world.server.when(/^SELECT/, (_tag, _line, send) => {
    send('* OK [PERMANENTFLAGS (\\*)] Limited only by you.\r\n')
    return undefined
  })
  world.server.receive(mail('one'))
  await world.start({ done: { mark: 'read' } })
  await soon(() => world.server.lines.filter(line => line.startsWith('UID STORE'))).toHaveLength(1)
  expect(world.stuck).toBeUndefined()
})

test('without MOVE a mail is copied once, also when the connection breaks before it is removed', async () => {
  world.server.capabilities = 'IMAP4rev1 SASL-IR AUTH=PLAIN UIDPLUS'
  const cut = () => {
    world.server.hangUp()
    return ''
  }
  world.server.when(/^UID STORE/, cut, 2)
  world.server.receive(mail('one'))
  await world.start(archive)
  await soon(() => world.uids()).toEqual([])
  expect([world.uids('Processed'), world.subjects(), world.downs.length]).toEqual([[1], ['one'], 2])
})

test('a folder that the server calls otherwise is told by its name there, and asked for once a round', async () => {
  // What Courier answers.
  world.server.capabilities += ' NAMESPACE'
  world.server.when(/^NAMESPACE/, (tag, _line, send) => {
    send('* NAMESPACE (("INBOX." ".")) NIL NIL\r\n')
    return `${tag} OK done`
  })
  world.server.when(/^CREATE/, 'NO Invalid mailbox name.')
  world.server.when(/^UID MOVE/, 'NO Error in IMAP command received by server.')
  for (let count = 0; count < 20; count++) world.server.receive(mail(`m${count}`))
  await world.start({ ...archive, every: '10m' })
  await soon(() => world.stuck).toMatchObject({
    code: 'IMAP_DONE_REFUSED',
    fields: { count: 20, answer: expect.stringContaining('"INBOX.Processed"') },
  })
  expect(world.server.lines.filter(line => line.startsWith('UID MOVE'))).toHaveLength(1)
})

test('what a server without MOVE and UIDPLUS leaves marked as deleted is not read again, also when nobody knows it any more', async () => {
  world.server.capabilities = 'IMAP4rev1 SASL-IR AUTH=PLAIN'
  world.server.receive(mail('long done'))
  world.server.folders.get('INBOX')?.mails[0]?.flags.add('\\Deleted')
  world.server.receive(mail('new'))
  await world.start(archive)
  await soon(() => world.uids('Processed')).toHaveLength(1)
  expect(world.subjects()).toEqual(['new'])
})

test.each(['corrupt item', 'No such message'])(
  'one mail that the server will not move (%s) does not hold back the others',
  async answer => {
    for (let count = 0; count < 20; count++) world.server.receive(mail(`m${count}`))
    const isAsked = (line: string) => {
      const ranges = (line.split(' ')[2] ?? '').split(',').map(range => range.split(':').map(Number))
      return ranges.some(([from = 0, to = from]) => from <= 13 && 13 <= to)
    }
    world.server.when(/^UID MOVE/, (tag, line) => (isAsked(line) ? `${tag} NO ${answer}` : undefined))
    await world.start(archive)
    await soon(() => world.uids()).toEqual([13])
    await soon(() => world.troubles[0]).toMatchObject({ code: 'IMAP_DONE_REFUSED', fields: { count: 1, uids: '13' } })
  },
)

test('folders that are missing are made; one that vanishes is made again', async () => {
  await world.start(archive)
  await soon(() => [...world.server.folders.keys()]).toEqual(['INBOX', 'Processed', 'Failed'])
  world.server.folders.delete('Processed')
  world.server.receive(mail('late'))
  await soon(() => world.server.folders.get('Processed')?.mails.length).toBe(1)
})

test('a folder that the server lists in other letters, and so will not make again, is no trouble', async () => {
  world.server.folders.set('Processed', { uidValidity: 1, uidNext: 1, mails: [] })
  world.server.when(/^LIST "" "Processed"/, tag => `* LIST () "/" "PROCESSED"\r\n${tag} OK done`)
  world.server.when(/^CREATE "Processed"/, 'NO [ALREADYEXISTS] There is one.')
  world.server.receive(mail('one'))
  await world.start(archive)
  await soon(() => world.uids('Processed')).toEqual([1])
  expect(world.troubles).toEqual([])
})

test('a row that the server leaves out is asked for three times, then the mail is put aside', async () => {
  world.server.receive(mail('good'))
  world.server.receive(mail('broken'))
  world.server.when(/^UID FETCH .*2.* \(UID BODY/, (tag, line) =>
    / (1:)?2 /.test(line) && !line.includes('1:2') ? `${tag} OK done` : undefined,
  )
  world.server.when(/^UID FETCH 1:2 \(UID BODY/, tag => `* 1 FETCH (UID 1 BODY[] {2}\r\nok)\r\n${tag} OK done`)
  await world.start(archive)
  await soon(() => world.server.folder('Failed').mails.map(kept => kept.bytes.toString())).toEqual([mail('broken')])
  expect(world.troubles).toMatchObject([{ code: 'IMAP_ROW_MISSING', fields: { uid: 2, attempts: 3 } }])
  expect(world.accepted.map(taken => taken.text)).toEqual(['ok'])
})

test('a mail whose size the server refuses to tell does not keep the others from being read', async () => {
  for (const subject of ['good', 'damaged', 'also good']) world.server.receive(mail(subject))
  world.server.when(/RFC822.SIZE/, 'NO [SERVERBUG] cannot read message 2')
  world.server.when(/^UID FETCH (1:3|2) \(UID BODY/, 'NO [SERVERBUG] cannot read message 2')
  await world.start(archive)
  await soon(() => world.subjects()).toEqual(['good', 'also good'])
  await soon(() => world.server.folder('Failed').mails.length).toBe(1)
  expect(world.downs).toEqual([])
})

test('rows that do not name their UID are asked for one by one', async () => {
  for (const subject of ['a', 'b']) world.server.receive(mail(subject))
  world.server.when(/^UID FETCH .*BODY/, (tag, line) => {
    const rows = world.server
      .folder('INBOX')
      .mails.filter(({ uid }) => line.includes('1:2') || line.includes(` ${uid} `))
      .map(({ bytes }) => `* 1 FETCH (BODY[] {${bytes.length}}\r\n${bytes.toString()})\r\n`)
    return `${rows.join('')}${tag} OK done`
  })
  await world.start(archive)
  await soon(() => world.uids('Processed')).toEqual([1, 2])
  expect([world.subjects(), world.troubles]).toEqual([['a', 'b'], []])
})

test('a mail that is there for the search alone is told of once, not at every search', async () => {
  world.server.when(/^UID SEARCH/, tag => `* SEARCH 7\r\n${tag} OK done`)
  await world.start(archive)
  await soon(() => world.troubles.length).toBe(1)
  const searches = () => world.server.lines.filter(line => line.startsWith('UID SEARCH')).length
  const before = searches()
  await soon(() => searches() >= before + 5).toBe(true)
  expect(world.troubles).toMatchObject([{ code: 'IMAP_ROW_MISSING', fields: { uid: 7 } }])
})

test('the notice that Exchange makes up for a mail is never taken for the mail', async () => {
  world.server.receive(mail('Retrieval using the IMAP4 protocol failed for the following message: 7'))
  world.server.receive(mail('FW: Retrieval using the IMAP4 protocol failed for the following message: 7'))
  await world.start(archive)
  await soon(() => world.server.folder('Failed').mails.length).toBe(1)
  expect(world.subjects()).toEqual(['FW: Retrieval using the IMAP4 protocol failed for the following message: 7'])
  expect(world.troubles).toMatchObject([{ code: 'IMAP_ROW_MISSING', fields: { uid: 1 } }])
})

test('a large mail is streamed; one above max-size is put aside; small ones are not held up', async () => {
  const large = mail('large') + 'x'.repeat(3_000_000)
  world.server.receive(mail('small'))
  world.server.receive(large)
  world.server.receive(mail('too large') + 'x'.repeat(5_000_000))
  // Its size is a lie, as with Exchange: only the octets count.
  world.server.when(
    /RFC822.SIZE/,
    tag => `* 1 FETCH (UID 1 RFC822.SIZE 90000000)\r\n* 2 FETCH (UID 2 RFC822.SIZE 3100000)\r\n${tag} OK done`,
    1,
  )
  await world.start({ ...archive, 'max-size': '4MB' })
  await soon(() => world.server.folder('Failed').mails.length).toBe(1)
  await soon(() => world.server.folder('Processed').mails.length).toBe(2)
  expect(world.accepted.find(taken => taken.isStreamed)?.text).toBe(large)
  expect(world.troubles).toMatchObject([
    { code: 'IMAP_MAIL_TOO_LARGE', fields: { uid: 3, bytesMax: 4_000_000, subject: 'too large' } },
  ])
})

test('a mail that runs in circles is stopped', async () => {
  world.server.receive(mail('loop', ...Array.from({ length: 51 }, (_, hop) => `Received: from hop${hop}`)))
  world.server.receive(mail('far', ...Array.from({ length: 50 }, (_, hop) => `Received: from hop${hop}`)))
  await world.start(archive)
  await soon(() => world.server.folder('Failed').mails.length).toBe(1)
  expect(world.subjects()).toEqual(['far'])
  expect(world.troubles).toMatchObject([{ code: 'IMAP_LOOP', fields: { receivedCount: 51 } }])
})

test('a mail may have made as many hops as the flow says', async () => {
  world.server.receive(mail('loop', ...Array.from({ length: 61 }, (_, hop) => `Received: from hop${hop}`)))
  world.server.receive(mail('far', ...Array.from({ length: 60 }, (_, hop) => `Received: from hop${hop}`)))
  await world.start({ ...archive, 'received-max': 60 })
  await soon(() => world.server.folder('Failed').mails.length).toBe(1)
  expect(world.subjects()).toEqual(['far'])
})

const testErrors = defineErrors('TESTINTAKE', {
  BAD: { side: 'flow', retry: 'never', means: 'Too many headers.', next: 'None.' },
  BROKEN: { side: 'hub', retry: 'soon', means: 'The disk is full.', next: 'None.' },
})

test('a mail that the hub refuses is put aside with the reason; the others go on', async () => {
  for (const subject of ['a', 'poison', 'c']) world.server.receive(mail(subject))
  world.beforeAccept = ({ attributes }) => {
    if (attributes['subject'] === 'poison') throw testErrors.BAD()
  }
  await world.start(archive)
  await soon(() => world.server.folder('Failed').mails.map(kept => kept.bytes.toString())).toEqual([mail('poison')])
  await soon(() => world.server.folder('Processed').mails.length).toBe(2)
  expect(world.troubles).toMatchObject([{ code: 'IMAP_MAIL_REFUSED', fields: { uid: 2, reason: 'Too many headers.' } }])
})

test('a mail that makes the hub stumble again and again is put aside after three attempts', async () => {
  world.beforeAccept = ({ attributes }) => {
    if (attributes['subject'] === 'poison') throw new TypeError('boom')
  }
  world.server.receive(mail('poison'))
  await world.start(archive)
  for (let count = 0; count < 40 && world.server.folders.get('Failed')?.mails.length !== 1; count++) {
    world.server.receive(mail(`m${count}`))
    await new Promise(resolve => setTimeout(resolve, 60))
  }
  expect(world.server.folder('Failed').mails.map(kept => kept.bytes.toString())).toEqual([mail('poison')])
  expect(world.troubles.at(-1)).toMatchObject({ code: 'IMAP_MAIL_REFUSED', message: expect.stringContaining('boom') })
})

test('an expression that took other mails fails for the mail: the link stays up, and the mail is put aside', async () => {
  world.beforeAccept = ({ attributes }) => {
    if (attributes['subject'] === 'odd')
      throw expressionErrors.FAILED({ text: 'x[1]', why: 'no such key', hint: 'Look.' })
  }
  world.server.receive(mail('first'))
  await world.start(archive)
  await soon(() => world.subjects()).toEqual(['first'])
  world.server.receive(mail('odd'))
  await soon(() => world.server.folders.get('Failed')?.mails.map(kept => kept.bytes.toString())).toEqual([mail('odd')])
  expect(world.downs).toEqual([])
  expect(world.troubles.at(-1)).toMatchObject({ code: 'IMAP_MAIL_REFUSED', message: expect.stringContaining('x[1]') })
})

test('an expression that fails for the first mail, which is alone, does not keep the next one waiting', async () => {
  world.beforeAccept = ({ attributes }) => {
    if (attributes['subject'] === 'odd')
      throw expressionErrors.FAILED({ text: 'x[1]', why: 'no such key', hint: 'Look.' })
  }
  world.server.receive(mail('odd'))
  await world.start({ ...archive, every: '300ms' })
  await soon(() => world.stuck).toMatchObject({ code: 'EXPRESSION_FAILED' })
  world.server.receive(mail('next'))
  await soon(() => world.subjects()).toEqual(['next'])
  expect(world.downs).toEqual([])
  // Now it is known whose fault it is.
  await soon(() => world.server.folders.get('Failed')?.mails.map(kept => kept.bytes.toString())).toEqual([mail('odd')])
  await soon(() => world.stuck).toBeUndefined()
})

test('what stays undone with a mail that fails is over when it is gone', async () => {
  world.beforeAccept = () => {
    throw expressionErrors.FAILED({ text: 'x[1]', why: 'no such key', hint: 'Look.' })
  }
  world.server.receive(mail('odd'))
  await world.start({ ...archive, every: '100ms' })
  await soon(() => world.stuck).toMatchObject({ code: 'EXPRESSION_FAILED' })
  world.server.folder('INBOX').mails.splice(0)
  await soon(() => world.stuck).toBeUndefined()
  expect(world.downs).toEqual([])
})

test('an expression that fails for every mail since the flow began takes the link down, and no mail is blamed', async () => {
  world.beforeAccept = () => {
    throw expressionErrors.FAILED({ text: 'x[1]', why: 'no such key', hint: 'Look.' })
  }
  for (const subject of ['a', 'b']) world.server.receive(mail(subject))
  await world.start(archive)
  await soon(() => world.downs.length).toBeGreaterThan(5)
  expect(world.uids()).toEqual([1, 2])
})

test('while the hub cannot take anything the link is down, and no mail is blamed', async () => {
  let isBroken = true
  world.beforeAccept = () => {
    if (isBroken) throw testErrors.BROKEN()
  }
  for (const subject of ['a', 'b', 'c']) world.server.receive(mail(subject))
  await world.start(archive)
  await soon(() => world.downs.length).toBeGreaterThan(5)
  expect(world.downs[0]).toMatchObject({ code: 'TESTINTAKE_BROKEN' })
  isBroken = false
  await soon(() => world.uids('Processed').length).toBe(3)
  expect(world.server.folder('Failed').mails).toEqual([])
})

test('no more mails are read than may be on their way', async () => {
  for (let count = 0; count < 30; count++) world.server.receive(mail(`m${count}`))
  world.ending = () => undefined
  await world.start({ ...archive, ahead: 10 })
  await soon(() => world.accepted.length).toBe(10)
  await new Promise(resolve => setTimeout(resolve, 250))
  expect(world.accepted.length).toBe(10)
  for (let count = 1; count <= 30; count++) {
    await soon(() => world.accepted.length).toBeGreaterThanOrEqual(count)
    world.end(`D${count}`, 'delivered')
  }
  await soon(() => world.uids('Processed').length).toBe(30)
  expect(world.subjects()).toEqual(Array.from({ length: 30 }, (_, count) => `m${count}`))
})

test('mails that wait behind one that is set aside do not count, and are marked when it lets them go', async () => {
  for (let count = 0; count < 30; count++) world.server.receive(mail(`m${count}`))
  world.ending = () => undefined
  await world.start({ ...archive, ahead: 10 })
  await soon(() => world.accepted.length).toBe(10)
  for (const [key, { id }] of world.known) if (id !== 'D1') world.known.set(key, { id, state: 'held' })
  await soon(() => world.accepted.length).toBe(19)
  await new Promise(resolve => setTimeout(resolve, 250))
  expect(world.accepted.length).toBe(19)
  for (const [key, { id }] of world.known) world.known.set(key, { id, state: 'working' })
  await new Promise(resolve => setTimeout(resolve, 250))
  // Those it let go count again: 13 are on their way, more than half of `ahead`.
  for (let count = 11; count <= 16; count++) world.end(`D${count}`, 'delivered')
  await new Promise(resolve => setTimeout(resolve, 250))
  expect(world.accepted.length).toBe(19)
  for (let count = 1; count <= 30; count++) {
    await soon(() => world.accepted.length).toBeGreaterThanOrEqual(count)
    world.end(`D${count}`, 'delivered')
  }
  await soon(() => world.uids('Processed').length).toBe(30)
})

test('newest first', async () => {
  for (const subject of ['a', 'b', 'c']) world.server.receive(mail(subject))
  await world.start({ order: 'newest-first', 'per-poll': 1 })
  await soon(() => world.subjects()).toEqual(['c', 'b', 'a'])
})

test('a connection that breaks in the midst of a mail leaves nothing behind, and the mail comes again', async () => {
  const large = mail('large') + 'x'.repeat(2_000_000)
  world.server.receive(large)
  world.server.when(
    /BODY.PEEK/,
    (_tag, _line, send) => {
      send(`* 1 FETCH (UID 1 BODY[] {${large.length}}\r\n${large.slice(0, 1_500_000)}`)
      setTimeout(() => world.server.hangUp(), 30)
      return ''
    },
    1,
  )
  await world.start(archive)
  await soon(() => world.uids('Processed')).toEqual([1])
  expect(world.accepted.map(taken => taken.text.length)).toEqual([large.length])
  expect(world.downs).toMatchObject([{ code: 'IMAP_CONNECTION_LOST' }])
})

test('a mail that the server refuses to hand over costs its neighbours nothing', async () => {
  for (const subject of ['a', 'b', 'c']) world.server.receive(mail(subject))
  world.server.when(/^UID FETCH (1:3|2) \(UID BODY/, 'BAD Command Error. 11')
  await world.start(archive)
  await soon(() => world.uids('Processed').length).toBe(2)
  await soon(() => world.server.folder('Failed').mails.map(kept => kept.bytes.toString())).toEqual([mail('b')])
  expect(world.troubles).toMatchObject([{ code: 'IMAP_ROW_MISSING', fields: { uid: 2, attempts: 3 } }])
  expect(world.downs).toEqual([])
})

test.each([
  ['hangs up', ''],
  ['sends what is not IMAP', '* 2 FETCH (UID 2 BODY[] {3'],
])('a mail at which the server %s is found among its neighbours and put aside', async (_, answer) => {
  for (const subject of ['a', 'b', 'c', 'd']) world.server.receive(mail(subject))
  world.server.when(/^UID FETCH (1:4|2) \(UID BODY/, () => {
    if (answer === '') world.server.hangUp()
    return answer === '' ? '' : `${answer}\r\nnonsense`
  })
  await world.start(archive)
  await soon(() => world.server.folders.get('Failed')?.mails.map(kept => kept.bytes.toString())).toEqual([mail('b')])
  await soon(() => world.uids('Processed').length).toBe(3)
  expect(world.troubles).toMatchObject([{ code: 'IMAP_ROW_MISSING', fields: { uid: 2, attempts: 3 } }])
})

test('throttling: the hint of the server is handed on, and what was delivered stays delivered', async () => {
  world.server.receive(mail('one'))
  world.server.when(/^UID MOVE/, 'BAD Request is throttled. Suggested Backoff Time: 120 milliseconds', 1)
  await world.start(archive)
  await soon(() => world.uids('Processed')).toEqual([1])
  expect(world.downs).toMatchObject([{ code: 'IMAP_THROTTLED', retryAfterMs: 120 }])
  expect(world.accepted.length).toBe(1)
})

test('one mailbox that fails does not stop the other', async () => {
  world.server.when(/^AUTHENTICATE/, (tag, line) =>
    Buffer.from(line.split(' ')[2] ?? '', 'base64')
      .toString()
      .startsWith('locked@')
      ? `${tag} NO AUTHENTICATE failed.`
      : undefined,
  )
  world.server.receive(mail('one'))
  await world.start({ user: ['locked@contoso.com', 'orders@contoso.com'] })
  await soon(() => world.flags()).toEqual(['\\Seen'])
  expect(world.downs[0]).toMatchObject({ code: 'IMAP_AUTH_REFUSED', fields: { user: 'locked@contoso.com' } })
  expect(world.accepted.map(taken => taken.attributes['mailbox'])).toEqual(['orders@contoso.com'])
})

interface TokenGiver {
  readonly asked: (string | undefined)[]
  lifeMs: number
}

function giveTokens(): TokenGiver {
  const giver: TokenGiver = { asked: [], lifeMs: 3_600_000 }
  let number = 1
  world.credential = {
    kind: 'oauth2',
    user: 'svc@contoso.com',
    async token(refused) {
      giver.asked.push(refused)
      if (refused === `T${number}`) number++
      return { value: `T${number}`, expiresAt: Date.now() + giver.lifeMs }
    },
  }
  return giver
}

/** Tokens that the server was shown, with the mailbox each opened. */
function shownTokens(): string[] {
  return world.server.lines
    .filter(line => line.startsWith('AUTHENTICATE XOAUTH2'))
    .map(line =>
      /user=(.*)\|auth=Bearer (.*)\|\|/.exec(
        Buffer.from(line.split(' ')[2] ?? '', 'base64')
          .toString()
          .replaceAll('\x01', '|'),
      ),
    )
    .map(match => `${match?.[1]} ${match?.[2]}`)
}

test('a shared mailbox is opened with the token of a delegate, which is renewed before it ends', async () => {
  const giver = giveTokens()
  giver.lifeMs = 400
  await world.start({ user: 'shared@contoso.com' })
  await soon(() => shownTokens().length).toBeGreaterThan(2)
  expect(shownTokens().slice(0, 3)).toEqual(['shared@contoso.com T1', 'shared@contoso.com T2', 'shared@contoso.com T3'])
  expect(world.downs).toEqual([])
})

test('a session that the server ends for its token is followed by one with a new token', async () => {
  giveTokens()
  await world.start()
  await soon(() => world.ups.length).toBe(1)
  world.aheadMs = 120_000
  world.server.say('* BYE Session invalidated - AccessTokenExpired')
  world.server.receive(mail('later'))
  await soon(() => world.flags()).toEqual(['\\Seen'])
  expect(shownTokens()).toEqual(['orders@contoso.com T1', 'orders@contoso.com T2'])
  expect(world.downs).toEqual([])
})

test('a session that ends for its token at once is no reason to hurry', async () => {
  giveTokens()
  await world.start()
  await soon(() => world.ups.length).toBe(1)
  world.server.say('* BYE Session invalidated - AccessTokenExpired')
  await soon(() => world.downs).toMatchObject([{ code: 'IMAP_TOKEN_EXPIRED', retry: 'soon' }])
})

test('a server that hangs up with the refusal of a token is shown another one by the next session', async () => {
  const giver = giveTokens()
  world.server.when(/^AUTHENTICATE/, tag => `${tag} NO AUTHENTICATE failed.\r\n* BYE Connection closed`, 1)
  await world.start()
  await soon(() => world.ups.length).toBe(1)
  expect(giver.asked).toEqual([undefined, 'T1', undefined])
  expect(world.downs.map(({ code }) => code)).toEqual(['IMAP_AUTH_REFUSED'])
})

test('a refused token is replaced once, not in a circle', async () => {
  const giver = giveTokens()
  world.server.when(/^AUTHENTICATE/, 'NO AUTHENTICATE failed.')
  await world.start()
  await soon(() => world.downs.length).toBe(1)
  expect(world.downs[0]).toMatchObject({ code: 'IMAP_AUTH_REFUSED', retry: 'after-change' })
  expect(giver.asked.slice(0, 2)).toEqual([undefined, 'T1'])
})

describe('tokens that end before a slow server has read them', () => {
  /** Tokens below this number are of age when the answer comes. */
  function giveSlowTokens(firstGood: number): void {
    const giver = giveTokens()
    const { credential } = world
    if (credential.kind !== 'oauth2') throw new Error('tokens are given')
    world.credential = {
      ...credential,
      async token(refused) {
        const { value } = await credential.token(refused)
        return { value, expiresAt: Date.now() + (Number(value.slice(1)) < firstGood ? 0 : giver.lifeMs) }
      },
    }
    const isEarly = (line: string) => {
      const shown = Buffer.from(line.split(' ')[2] ?? '', 'base64').toString()
      return Number(/Bearer T(\d+)/.exec(shown)?.[1] ?? 0) < firstGood
    }
    world.server.when(/^AUTHENTICATE/, (tag, line) => (isEarly(line) ? `${tag} NO AUTHENTICATE failed.` : undefined))
  }

  test('are no refusal: the next one is shown on the same connection', async () => {
    giveSlowTokens(4)
    await world.start()
    await soon(() => world.ups.length).toBe(1)
    expect(shownTokens().map(shown => shown.split(' ')[1])).toEqual(['T1', 'T2', 'T3', 'T4'])
    expect(world.downs).toEqual([])
  })

  test('are said to have ended when there is no end of them, which is tried again soon', async () => {
    giveSlowTokens(1000)
    await world.start()
    await soon(() => world.downs[0]).toMatchObject({ code: 'IMAP_TOKEN_EXPIRED', retry: 'soon' })
    expect(shownTokens().length).toBeGreaterThanOrEqual(4)
  })
})

test('"authenticated but not connected" is an error of its own: slow, and without a new token', async () => {
  const giver = giveTokens()
  world.server.when(/^SELECT/, 'BAD User is authenticated but not connected.')
  await world.start()
  await soon(() => world.downs).toMatchObject([{ code: 'IMAP_CONNECTED_NOT_AUTHORISED', retryAfterMs: 900_000 }])
  await new Promise(resolve => setTimeout(resolve, 200))
  expect(giver.asked).toEqual([undefined])
})

test('a credential of another kind is said by name', async () => {
  world.credential = { kind: 'secret', secret: 'x' }
  await world.start()
  await soon(() => world.downs[0]).toMatchObject({ code: 'IMAP_CREDENTIAL_KIND', fields: { kind: 'secret' } })
})

test.each(['nobody.pem', 'imap.ts'])('an authority in %s is said to be none', async ca => {
  await world.start({ ca })
  await soon(() => world.downs[0]).toMatchObject({ code: 'IMAP_CA_UNREADABLE', retry: 'after-change' })
  expect(world.downs[0]?.message).toContain(ca)
})

test.each(['none', 'starttls'])('a server that says PREAUTH is told nothing (security: %s)', async security => {
  world.server.greeting = '* PREAUTH welcome back'
  await world.start({ security })
  await soon(() => world.downs[0]).toMatchObject({ code: 'IMAP_PREAUTHENTICATED', retry: 'after-change' })
  expect(world.server.lines).toEqual([])
})

test('check proves every mailbox, and says what is wrong', async () => {
  await world.start({ every: '1h' })
  world.server.receive(mail('one'))
  const sender = await imap.open(world.context())
  expect(await sender.check()).toEqual({ ok: true, detail: 'orders@contoso.com: 1 mails in INBOX' })
  expect(world.server.lines).toContain('EXAMINE "INBOX"')
  world.server.when(/^EXAMINE/, 'NO [NONEXISTENT] gone')
  expect(await sender.check()).toMatchObject({ ok: false, error: { code: 'IMAP_FOLDER_MISSING' } })
})

test('a probe of ours comes through as a probe; a header that somebody else wrote does not', async () => {
  await world.start(archive)
  const sender = await imap.open(world.context())
  await sender.probe?.('T-1')
  world.server.receive(mail('forged', 'X-Isthmus-Probe: T-2'))
  await soon(() => world.accepted.map(taken => taken.probe)).toEqual(['T-1', undefined])
  expect(world.accepted[0]?.text).toContain('X-Isthmus-Probe: T-1\r\n')
  await soon(() => world.uids()).toEqual([])
})

test('the token of a probe is good for one mail', async () => {
  await world.start(archive)
  const sender = await imap.open(world.context())
  await sender.probe?.('T-1')
  await soon(() => world.accepted.map(taken => taken.probe)).toEqual(['T-1'])
  await soon(() => world.uids()).toEqual([])
  const bytes = world.accepted[0]?.text ?? ''
  // The very mail once more is none; another one with its token is a mail like any other.
  world.server.receive(bytes)
  world.server.receive(mail('order', 'X-Isthmus-Probe: T-1'))
  await soon(() => world.uids()).toEqual([])
  expect(world.accepted.map(taken => taken.probe)).toEqual(['T-1', undefined])
  expect(world.subjects()).toEqual(['Isthmus probe', 'order'])
})

test('the examples are valid', () => {
  for (const { config } of imap.examples) expect(imap.config.safeParse(config).error).toBeUndefined()
})

const base = { host: 'outlook.office365.com', user: 'orders@contoso.com', auth: 'm365-mail' }

test.each([
  ['select: all with mark: read', { select: 'all', done: { mark: 'read', failed: 'F' } }, 'done.mark'],
  ['select: all without a failed folder', { select: 'all', done: { delete: true } }, 'done'],
  ['two ends at once', { done: { move: 'A', delete: true } }, 'done'],
  ['no end', { done: { failed: 'F' } }, 'done'],
  ['moving into the folder that is read', { done: { move: 'inbox' } }, 'done.move'],
  ['no TLS to another machine', { security: 'none' }, 'security'],
  ['no TLS behind a connector', { security: 'none', host: '127.0.0.1', via: 'dc' }, 'security'],
  ['a mailbox named twice', { user: ['a@b.example', 'A@b.example'] }, 'user'],
  ['a mailbox with control characters', { user: 'a\x01auth=Bearer x' }, 'user'],
  ['a search without a pause', { every: '0s' }, 'every'],
  ['no time to answer', { timeout: '0s' }, 'timeout'],
  ['an unknown key', { hots: 'x' }, ''],
])('%s is refused by lint', (_, config, path) => {
  const { error } = imap.config.safeParse({ ...base, ...config })
  expect(error?.issues.map(issue => issue.path.join('.'))).toContain(path)
})
