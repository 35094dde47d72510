import { afterEach, describe, expect, test } from 'vitest'
import { MiB } from '../../src/kernel/size.ts'
import { hurriedClock } from './hurried-clock.ts'
import { invoices, mail, mailWorld, orders, pause, stopWorlds } from './mail-world.ts'

afterEach(stopWorlds)

const verbs = (world: Awaited<ReturnType<typeof mailWorld>>, verb: RegExp) =>
  world.exchange.commands.filter(({ line }) => verb.test(line)).map(({ line }) => line)

describe('what becomes of a mail in its mailbox', () => {
  test.each([
    ['moved', { move: 'Processed' }, [], ['order 1', 'order 2']],
    ['marked as read', { mark: 'read' }, ['order 1', 'order 2'], undefined],
    ['deleted', { delete: true }, [], undefined],
  ])('%s, once the other side has it', async (_what, done, inbox, processed) => {
    const world = await mailWorld({ flows: [{ imap: { done } }] })
    world.exchange.deliver(orders, mail('order 1'))
    world.exchange.deliver(orders, mail('order 2'))
    await world.reached(2)
    await world.until('the mails to be dealt with', () =>
      world.exchange.list(orders).every(({ flags }) => flags.has('\\Seen')),
    )
    expect(world.subjects(orders)).toEqual(inbox)
    if (processed) expect(world.subjects(orders, 'Processed')).toEqual(processed)
    await pause(500)
    expect(world.arrived().toSorted()).toEqual(['order 1', 'order 2'])
  })

  test('nothing is marked before the other side has accepted', async () => {
    const world = await mailWorld()
    world.s4.faults.delay({ at: 'end', ms: 2500 })
    world.exchange.deliver(orders, mail('order 1'))
    await world.until('the mail to be on its way', async () => (await world.find('state=queued')).length === 1)
    await pause(300)
    expect(world.exchange.list(orders).map(({ flags }) => [...flags])).toEqual([[]])
    await world.emptied()
    expect(world.arrived()).toEqual(['order 1'])
  })

  test('a mail that was refused for good, and one that the flow set aside, lie in the failed folder', async () => {
    const world = await mailWorld({
      flows: [
        {
          steps: [
            { filter: { keep: "message.subject != 'order 2'", otherwise: 'set-aside', reason: 'Not for us.' } },
            { filter: { keep: "message.subject != 'order 3'", otherwise: 'reject' } },
            { filter: { keep: "message.subject != 'order 4'", otherwise: 'drop' } },
          ],
        },
      ],
    })
    world.s4.faults.refuse({ at: 'rcpt', code: 550, text: 'unknown recipient in client 100' })
    world.exchange.deliver(orders, mail('order 1'))
    await world.only('set-aside')
    for (const number of [2, 3, 4, 5]) world.exchange.deliver(orders, mail(`order ${number}`))
    await world.emptied()
    expect(world.subjects(orders, 'Failed').toSorted()).toEqual(['order 1', 'order 2', 'order 3'])
    expect(world.subjects(orders, 'Processed').toSorted()).toEqual(['order 4', 'order 5'])
    expect(world.arrived()).toEqual(['order 5'])
  })

  test('without a failed folder such a mail stays, read and flagged', async () => {
    const world = await mailWorld({ flows: [{ imap: { done: { mark: 'read' } } }] })
    world.s4.faults.refuse({ at: 'rcpt', code: 550 })
    world.exchange.deliver(orders, mail('order 1'))
    await world.until('the flag', () => world.exchange.list(orders)[0]?.flags.has('\\Flagged'))
    expect([...(world.exchange.list(orders)[0]?.flags ?? [])].toSorted()).toEqual(['\\Flagged', '\\Seen'])
  })

  test('everything in a folder of its own is taken, read or unread, the newest first', async () => {
    const world = await mailWorld({
      flows: [{ imap: { folder: 'Archive', select: 'all', order: 'newest-first', 'per-poll': 1, ahead: 1 } }],
    })
    await world.stop()
    for (const number of [1, 2, 3]) {
      world.exchange.deliver(orders, mail(`order ${number}`), { folder: 'Archive', flags: ['\\Seen'] })
    }
    world.exchange.deliver(orders, mail('not this one'))
    await world.start()
    await world.reached(3)
    await world.until('the folder to be empty', () => world.exchange.list(orders, 'Archive').length === 0)
    expect(world.arrived()).toEqual(['order 3', 'order 2', 'order 1'])
    expect(world.subjects(orders)).toEqual(['not this one'])
  })
})

describe('several mailboxes', () => {
  test('one that is broken does not stop the other, and says whose turn it is', async () => {
    const world = await mailWorld({
      flows: [{ imap: { user: ['broken@contoso.com', invoices] } }],
      exchange: { mailboxes: { 'broken@contoso.com': {}, [invoices]: { fullAccess: ['svc@contoso.com'] } } },
    })
    world.exchange.deliver(invoices, mail('invoice 1'))
    await world.reached(1)
    const { error } = await world.link('broken@contoso.com', 'down')
    expect(error?.code).toBe('IMAP_CONNECTED_NOT_AUTHORISED')
    expect(error?.next).toContain('FullAccess on broken@contoso.com')
    expect(await world.link(invoices, 'up')).toBeDefined()
    await world.emptied(invoices)
  })

  test('one whose mails cannot be delivered now does not hold up the other', async () => {
    const world = await mailWorld({
      flows: [
        {
          imap: { user: [orders, invoices], ahead: 1 },
          smtp: { to: "${message.mailbox.replace('contoso.com', 's4.example')}" },
        },
      ],
    })
    world.s4.faults.refuse({ at: 'rcpt', code: 451, match: 'orders@', times: 1_000 })
    for (const number of [1, 2]) world.exchange.deliver(orders, mail(`order ${number}`))
    await world.until('the first to wait', async () => (await world.find('state=queued')).length === 1)
    for (const number of [1, 2, 3]) world.exchange.deliver(invoices, mail(`invoice ${number}`))
    await world.emptied(invoices)
    expect(world.arrived()).toEqual(['invoice 1', 'invoice 2', 'invoice 3'])
    // Exchange limits connections: one for each mailbox.
    expect(world.exchange.connections.map(({ mailbox = '' }) => mailbox).toSorted()).toEqual([invoices, orders])
    world.s4.faults.clear()
    await world.emptied(orders)
    expect(world.s4.received).toHaveLength(5)
  })
})

describe('habits of Exchange Online', () => {
  test('throttled: the hub waits as long as it was asked to, then goes on', async () => {
    const world = await mailWorld()
    await world.link(orders, 'up')
    world.exchange.setFaults({ throttle: { commands: ['SEARCH'], times: 1, backoffMs: 2_500 } })
    const { error } = await world.link(orders, 'down')
    const downAt = Date.now()
    expect(error?.message).toContain('Suggested Backoff Time: 2500 milliseconds')
    world.exchange.deliver(orders, mail('order 1'))
    await world.reached(1)
    expect(Date.now() - downAt).toBeGreaterThan(2_000)
    await world.link(orders, 'up')
  })

  test('throttled at the marking: the mail is not sent again, and is moved later', async () => {
    const world = await mailWorld()
    world.exchange.setFaults({ throttle: { commands: ['MOVE'], times: 1, backoffMs: 500 } })
    world.exchange.deliver(orders, mail('order 1'))
    await world.emptied()
    expect(world.arrived()).toEqual(['order 1'])
    expect(world.subjects(orders, 'Processed')).toEqual(['order 1'])
  })

  test('a move that was done, but whose answer was lost, is done once', async () => {
    const world = await mailWorld()
    world.exchange.setFaults({ loseAnswer: { commands: ['MOVE'], times: 1 } })
    world.exchange.deliver(orders, mail('order 1'))
    await world.emptied()
    world.exchange.deliver(orders, mail('order 2'))
    await world.until('both to be moved', () => world.subjects(orders, 'Processed').length === 2)
    expect(world.arrived()).toEqual(['order 1', 'order 2'])
  })

  test('cut in the middle of a mail: it comes whole or not at all, and once', async () => {
    const world = await mailWorld()
    await world.link(orders, 'up')
    const large = mail('order 1', { body: 'x'.repeat(200_000) })
    world.exchange.setFaults({ cutLiteral: { times: 1, atOctet: 100_000 } })
    world.exchange.deliver(orders, large)
    await world.reached(1)
    expect(world.s4.received[0]?.octets?.equals(large)).toBe(true)
    await world.emptied()
    expect(world.s4.received).toHaveLength(1)
  })

  test('cut after some rows: the others follow', async () => {
    const world = await mailWorld({ flows: [{ imap: { user: orders } }] })
    await world.link(orders, 'up')
    world.exchange.setFaults({ drop: { times: 1, afterRows: 3 } })
    for (let number = 0; number < 10; number++) world.exchange.deliver(orders, mail(`order ${number}`))
    await world.reached(10)
    await world.emptied()
    expect(new Set(world.arrived()).size).toBe(10)
    expect(world.s4.received).toHaveLength(10)
  })

  test('a row that never comes: the others go on, and the mail is put aside with a reason', async () => {
    const world = await mailWorld()
    world.exchange.setFaults({ missingRows: [2] })
    for (const number of [1, 2, 3]) world.exchange.deliver(orders, mail(`order ${number}`))
    await world.emptied()
    expect(world.arrived().toSorted()).toEqual(['order 1', 'order 3'])
    expect(world.subjects(orders, 'Failed')).toEqual(['order 2'])
    expect(
      await world.counted('isthmus_link_trouble_total{flow="mail",link="orders@contoso.com",code="IMAP_ROW_MISSING"}'),
    ).toBe(1)
  })

  test('the notice that Exchange makes up for a mail it cannot read is never forwarded', async () => {
    const world = await mailWorld()
    world.exchange.setFaults({ syntheticMails: [1] })
    world.exchange.deliver(orders, mail('order 1'))
    world.exchange.deliver(orders, mail('order 2'))
    await world.emptied()
    expect(world.arrived()).toEqual(['order 2'])
    expect(world.subjects(orders, 'Failed')).toEqual(['order 1'])
  })

  test('sizes are estimates, UIDs stand behind the mail, MOVE is missing: all the same', async () => {
    const world = await mailWorld()
    world.exchange.setFaults({ sizeEstimated: true, uidAfterLiteral: true, moveMissing: true })
    world.exchange.dropConnections()
    const large = mail('order 2', { body: 'y'.repeat(3 * MiB) })
    world.exchange.deliver(orders, mail('order 1'))
    world.exchange.deliver(orders, large)
    await world.reached(2)
    await world.emptied()
    const second = world.s4.received.find(({ messageId }) => messageId === '<order-2@adatum.example>')
    expect(second?.octets?.equals(large)).toBe(true)
    expect(world.subjects(orders, 'Processed').toSorted()).toEqual(['order 1', 'order 2'])
    // Never a bare EXPUNGE: it would take away what others have marked.
    expect(verbs(world, /^EXPUNGE\b/i)).toEqual([])
  })

  test('without MOVE only our own mails are expunged, not what somebody else has marked', async () => {
    const world = await mailWorld()
    world.exchange.setFaults({ moveMissing: true })
    world.exchange.dropConnections()
    world.exchange.deliver(orders, mail('marked by somebody'), { flags: ['\\Seen', '\\Deleted'] })
    world.exchange.deliver(orders, mail('order 1'))
    await world.until('the mail to be moved', () => world.subjects(orders, 'Processed').length === 1)
    await world.until('it to be gone', () => world.exchange.list(orders).length === 1)
    expect(world.subjects(orders)).toEqual(['marked by somebody'])
  })

  test('IDLE that says nothing: the next search finds the mail', async () => {
    const world = await mailWorld({ flows: [{ imap: { every: '1s' } }] })
    await world.link(orders, 'up')
    world.exchange.setFaults({ idleSilent: true })
    world.exchange.deliver(orders, mail('order 1'))
    await world.reached(1)
  })

  test('IDLE tells at once, however rare the searches are', async () => {
    const world = await mailWorld({ flows: [{ imap: { every: '1h' } }] })
    await world.link(orders, 'up')
    await world.until('IDLE', () => verbs(world, /^IDLE/i).length > 0)
    world.exchange.deliver(orders, mail('order 1'))
    await world.reached(1)
    await world.emptied()
  })

  test('others move mails away while it reads', async () => {
    const world = await mailWorld()
    await world.link(orders, 'up')
    const uids = [1, 2, 3, 4].map(number => world.exchange.deliver(orders, mail(`order ${number}`)))
    world.exchange.mailboxes
      .get(orders)
      ?.folder('INBOX')
      ?.remove(uids[1] ?? 0)
    await world.reached(3)
    await world.emptied()
    expect(world.arrived().toSorted()).toEqual(['order 1', 'order 3', 'order 4'])
  })

  test('commands stay below 10,240 octets, also for 2,000 mails with gaps', async () => {
    const world = await mailWorld({ flows: [{ imap: { every: '1h', idle: false, ahead: 5_000 } }] })
    await world.stop()
    for (let number = 0; number < 2_000; number++) {
      world.exchange.deliver(orders, mail(`order ${number}`), { flags: number % 2 ? ['\\Seen'] : [] })
    }
    await world.start()
    await world.reached(1_000)
    await world.until('the unread ones to be moved', () => world.subjects(orders, 'Processed').length === 1_000)
    expect(Math.max(...world.exchange.commands.map(({ line }) => line.length))).toBeLessThan(10_240)
    expect(new Set(world.arrived()).size).toBe(1_000)
  })
})

test('a server that offers IDLE and refuses it is polled, over one session', async () => {
  const world = await mailWorld()
  world.exchange.setFaults({
    refuse: { commands: ['IDLE'], times: 1_000_000, answer: 'BAD', text: 'Command Error. 12' },
  })
  const idles = verbs(world, /\bIDLE\b/).length
  world.exchange.dropConnections()
  await world.until('a refusal', () => verbs(world, /\bIDLE\b/).length > idles)
  await world.link(orders, 'up')
  const logins = () => verbs(world, /\bAUTHENTICATE\b/).length
  const before = logins()
  expect(before).toBeGreaterThan(0)
  for (const number of [1, 2, 3]) {
    world.exchange.deliver(orders, mail(`order ${number}`))
    await world.reached(number)
  }
  await world.emptied()
  expect(logins()).toBe(before)
})

describe('what is one mail and what are two', () => {
  test('UIDVALIDITY changes: what was delivered but not marked is not delivered again, and a resend still is', async () => {
    const world = await mailWorld()
    world.exchange.setFaults({ refuse: { commands: ['MOVE'], times: 1_000 } })
    world.exchange.deliver(orders, mail('order 1'))
    await world.reached(1)
    world.exchange.setFaults({ uidValidityChanged: { mailbox: orders } })
    await world.emptied()
    expect(world.arrived()).toEqual(['order 1'])
    expect(world.subjects(orders, 'Processed')).toEqual(['order 1'])
    expect(world.log.join('')).toContain('imap.uidvalidity-changed')
    // The customer sends the same order once more, letter for letter: that is for S/4HANA to judge.
    world.exchange.deliver(orders, mail('order 1'))
    await world.reached(2)
    await world.emptied()
  })

  test('mails without a Message-ID are not taken for one another', async () => {
    const world = await mailWorld({ flows: [{ delivery: { 'once-by': "message.headers['message-id']" } }] })
    for (const number of [1, 2])
      world.exchange.deliver(orders, Buffer.from(`Subject: order ${number}\r\nTo: a@b.example\r\n\r\nx`))
    await world.reached(2)
    await world.emptied()
  })

  test('with once-by a resend is recognised, and its mail is dealt with like the first', async () => {
    const world = await mailWorld({ flows: [{ delivery: { 'once-by': "message.headers['message-id']" } }] })
    world.exchange.deliver(orders, mail('order 1'))
    await world.reached(1)
    await world.emptied()
    world.exchange.deliver(orders, mail('order 1'))
    await world.until('the repeat to be put away', () => world.subjects(orders, 'Processed').length === 2)
    expect(world.arrived()).toEqual(['order 1'])
    expect(await world.counted('isthmus_delivery_refused_duplicate_total{flow="mail"}')).toBe(1)
  })
})

describe('limits', () => {
  test('a full queue holds the mailbox back; everything goes when there is room again', async () => {
    const world = await mailWorld({
      clock: hurriedClock(60),
      hub: { limits: { queuedPerFlow: 5 } },
      flows: [
        { imap: { every: '10s', timeout: '10m' }, delivery: { retry: { every: '5s', 'up-to': '5s', for: '1h' } } },
      ],
    })
    world.s4.faults.refuse({ at: 'rcpt', code: 451, times: 1_000 })
    for (let number = 0; number < 20; number++) world.exchange.deliver(orders, mail(`order ${number}`))
    await world.until('the limit', () =>
      world.counted('isthmus_limit_reached_total{limit="queuedPerFlow",flow="mail"}'),
    )
    expect(await world.find('state=queued')).toHaveLength(5)
    expect(world.exchange.list(orders)).toHaveLength(20)
    await world.link(orders, 'up')
    world.s4.faults.clear()
    await world.emptied()
    expect(new Set(world.arrived()).size).toBe(20)
    expect(world.s4.received).toHaveLength(20)
  })

  test('too many connections: a reason of its own, since the credential is not to blame', async () => {
    const world = await mailWorld()
    world.exchange.setFaults({ connectionsMax: 0 })
    world.exchange.dropConnections()
    const { error } = await world.until('the refusal', async () => {
      const link = await world.link(orders, 'down')
      return link.error?.code === 'IMAP_CONNECTED_NOT_AUTHORISED' ? link : undefined
    })
    expect(error?.next).toContain('not too many connections')
  })
})

describe('odd mails', () => {
  test.each([
    ['bare line ends and NUL', Buffer.from('Subject: odd\r\nTo: orders@contoso.com\r\n\r\na\nb\rc\0d')],
    ['no header at all', Buffer.from('\r\nonly a body\r\n')],
    ['nothing at all', Buffer.alloc(0)],
    ['a mbox line in front', Buffer.from('From x Mon\r\nSubject: mbox\r\n\r\nbody')],
    ['lines of dots', mail('dots', { body: '.\r\n..\r\n...\r\n.' })],
    [
      'a header of 8-bit octets',
      Buffer.concat([Buffer.from('Subject: '), Buffer.from([0xff, 0xfe]), Buffer.from('\r\n\r\nx')]),
    ],
  ])(
    '%s: forwarded octet for octet where the other side can take it, and no mail behind it waits',
    async (_, bytes) => {
      const world = await mailWorld({ s4: { extensions: { chunking: true, binaryMime: true } } })
      world.exchange.deliver(orders, bytes)
      world.exchange.deliver(orders, mail('behind it'))
      await world.reached(2)
      const odd = world.s4.received.find(({ messageId }) => messageId !== '<behind-it@adatum.example>')
      expect(odd?.octets?.toString('latin1').replace(/\r\n$/, '')).toBe(bytes.toString('latin1').replace(/\r\n$/, ''))
      await world.emptied()
    },
  )

  test('a mail that has made more than 50 hops, and one above max-size, are put aside with a reason', async () => {
    const world = await mailWorld({ flows: [{ imap: { 'max-size': '20KiB' } }] })
    const hops = Array.from({ length: 51 }, (_, hop) => `Received: from mx${hop}.example by mail.contoso.com`)
    world.exchange.deliver(orders, mail('loop', { header: hops }))
    world.exchange.deliver(orders, mail('large', { body: 'z'.repeat(30_000) }))
    world.exchange.deliver(orders, mail('order 1', { header: hops.slice(1) }))
    await world.emptied()
    expect(world.arrived()).toEqual(['order 1'])
    expect(world.subjects(orders, 'Failed').toSorted()).toEqual(['large', 'loop'])
    const log = world.log.join('')
    expect(log).toContain('has 51 Received lines, so it runs in circles')
    expect(log).toMatch(/"code":"IMAP_MAIL_TOO_LARGE".*max-size allows 20480/)
  })
})
