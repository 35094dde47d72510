import { corpusAddresses, mailWith, type NamedMail } from './named-mail.ts'

/** More Received headers than this are a loop. */
const receivedMax = 50

/** Mails that go round in circles, and look-alikes that do not. */
export function loops(): NamedMail[] {
  const caught = { expectation: 'set-aside' } as const
  return [
    mailWith('received-50', receivedHeaders(receivedMax), 'A long way, and no loop.\r\n'),
    mailWith('received-51', receivedHeaders(receivedMax + 1), 'Round and round.\r\n', caught),
    mailWith('received-500', receivedHeaders(500), 'Round and round.\r\n', caught),
    mailWith('x-loop-own', [`X-Loop: ${corpusAddresses.sap}`], 'Seen before.\r\n', caught),
    mailWith('delivered-to-own', [`Delivered-To: ${corpusAddresses.sap}`], 'Seen before.\r\n', caught),
    mailWith('from-own-domain', ['From: Batch <batch@s4.local>'], 'Sent by the system it would go to.\r\n', caught),
    mailWith('from-look-alike-domain', ['From: Batch <batch@not-s4.local>'], 'Another domain.\r\n'),
    mailWith('x-loop-other', ['X-Loop: somebody@else.test'], 'Not our loop.\r\n'),
    mailWith('received-in-body', [], `${receivedHeaders(100).join('\r\n')}\r\n`),
  ]
}

function receivedHeaders(count: number): string[] {
  return Array.from(
    { length: count },
    (_unused, index) =>
      `Received: from mx${index}.test (mx${index}.test [192.0.2.1])\r\n\tby mx${index + 1}.test; Sat, 21 Nov 2026 08:00:00 +0000`,
  )
}
