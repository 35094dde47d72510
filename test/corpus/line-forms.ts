import { corpusAddresses, mailWith, type NamedMail, named, utf8 } from './named-mail.ts'

/** What a smuggler puts behind a false end of data: a second mail, hidden in the first. */
const smuggled = [
  'MAIL FROM:<ceo@contoso.com>',
  `RCPT TO:<${corpusAddresses.sap}>`,
  'DATA',
  'Subject: smuggled',
  '',
  'Pay at once.',
  '.',
  '',
].join('\r\n')

/** The eighteen forms that break senders and stores: false ends of data, bare line ends, NUL, long lines, odd ends. */
export function lineForms(): NamedMail[] {
  return [
    mailWith('plain', [], 'An order.\r\n'),
    mailWith('smuggle-lf-dot-lf', [], `An order.\n.\n${smuggled}`),
    mailWith('smuggle-crlf-dot-lf', [], `An order.\r\n.\n${smuggled}`),
    mailWith('smuggle-lf-dot-crlf', [], `An order.\n.\r\n${smuggled}`),
    mailWith('smuggle-cr-dot-cr', [], `An order.\r.\r${smuggled}`),
    mailWith('bare-cr', [], 'One\rTwo\rThree\r\n'),
    mailWith('nul', [], 'Before\0after\0\0\r\n'),
    mailWith('line-of-20000', [], `${'x'.repeat(20_000)}\r\n`),
    mailWith('no-final-line-end', [], 'The last line does not end'),
    mailWith('ends-with-cr', [], 'The last octet is a CR\r'),
    mailWith('ends-with-lf', [], 'The last octet is a LF\n'),
    mailWith('dot-lines', [], '.\r\n..\r\n...\r\n. \r\n.x\r\n..x\r\n.\r\n'),
    named('dot-first-octet', '.Subject: starts with a dot\r\n\r\n.\r\n'),
    named('empty', '', { expectation: 'either' }),
    named('only-crlf', '\r\n', { expectation: 'either' }),
    mailWith('8bit-body', ['Content-Transfer-Encoding: 8bit'], 'Gr\xfc\xdfe \xff\xfe\x80\x81\r\n'),
    mailWith('utf8-header', [utf8('Subject: Grüße aus Köln 你好 🚀')], 'In the header.\r\n'),
    mailWith('bcc-header', ['Bcc: <hidden@contoso.com>, <second@contoso.com>'], 'The Bcc stays.\r\n'),
  ]
}

/** Further forms seen in real mail: the same oddities in headers, at borders of buffers, and with parts missing. */
export function oddForms(): NamedMail[] {
  return [
    mailWith('bare-lf-body', [], 'One\nTwo\n\nThree\n'),
    named('bare-lf-throughout', 'From: <a@fabrikam.test>\nMessage-ID: <bare-lf-throughout@corpus.test>\n\nBody\n'),
    named('bare-cr-throughout', 'From: <a@fabrikam.test>\rMessage-ID: <bare-cr-throughout@corpus.test>\r\rBody\r'),
    mailWith('bare-cr-in-header', ['X-Odd: before\rBcc: <smuggled@contoso.com>'], 'Body\r\n'),
    mailWith('bare-lf-in-header', ['X-Odd: before\n after'], 'Body\r\n'),
    mailWith('crcrlf', [], 'One\r\r\nTwo\r\r\n'),
    mailWith('lfcr', [], 'One\n\rTwo\n\r'),
    mailWith('only-bare-lf-body', [], '\n\n\n'),
    mailWith('nul-in-header', ['X-Odd: before\0after'], 'Body\r\n'),
    mailWith('nul-only-body', [], '\0'),
    mailWith('header-line-of-5000', [`X-Long: ${'y'.repeat(5_000)}`], 'Body\r\n'),
    mailWith('header-line-of-999', [`X-Long: ${'z'.repeat(991)}`], 'Body\r\n'),
    mailWith('line-of-998', [], `${'x'.repeat(998)}\r\n`),
    mailWith('line-of-999', [], `${'x'.repeat(999)}\r\n`),
    mailWith('line-of-1000000', [], `${'x'.repeat(1_000_000)}\r\n`),
    mailWith('long-line-of-dots', [], `${'.'.repeat(5_000)}\r\n`),
    mailWith('8bit-header', ['Subject: Gr\xfc\xdfe', 'X-Odd: \xff\xfe\x80'], 'Latin-1.\r\n'),
    mailWith('8bit-header-name', ['X-Gr\xfc\xdfe: odd'], 'Body\r\n'),
    mailWith('every-octet', [], everyOctet()),
    named('mbox-from-line', 'From a@fabrikam.test Sat Nov 21 08:00:00 2026\r\nSubject: mbox\r\n\r\nBody\r\n'),
    named('escaped-mbox-from-line', '>From a@fabrikam.test Sat Nov 21 08:00:00 2026\r\nSubject: mbox\r\n\r\nBody\r\n'),
    mailWith('body-from-line', [], 'From here on it is ours.\r\n>From there\r\n'),
    named('empty-header', '\r\nA body without any header.\r\n'),
    named('no-body-no-blank-line', 'From: <a@fabrikam.test>\r\nMessage-ID: <no-body-no-blank-line@corpus.test>\r\n'),
    named('no-body', 'From: <a@fabrikam.test>\r\nMessage-ID: <no-body@corpus.test>\r\n\r\n'),
    named('header-cut-in-name', 'From: <a@fabrikam.test>\r\nMessage-ID: <header-cut-in-name@corpus.test>\r\nX-Cu'),
    named('body-without-colon-lines', 'This is no header at all\r\nNor is this\r\n'),
    named('folded-first-line', ' folded before any header\r\nSubject: late\r\n\r\nBody\r\n'),
    named('one-octet', 'x', { expectation: 'either' }),
    named('only-dot', '.\r\n', { expectation: 'either' }),
    named('only-cr', '\r', { expectation: 'either' }),
    named('only-lf', '\n', { expectation: 'either' }),
    mailWith('trailing-blank-lines', [], `Body\r\n${'\r\n'.repeat(200)}`),
    mailWith('spaces-at-line-ends', [], 'Body \t \r\n \r\n\t\r\n'),
    mailWith('dots-at-chunk-borders', [], dotsAtBorders()),
    mailWith('imap-literal-look-alike', [], 'A1 OK FETCH completed\r\n* 1 FETCH (UID 1 BODY[] {10}\r\n)\r\nA5 BYE\r\n'),
  ]
}

function everyOctet(): string {
  // CR, LF and NUL have mails of their own; here all others stand in a row.
  const all = Array.from({ length: 256 }, (_unused, octet) => octet).filter(octet => ![0, 10, 13].includes(octet))
  return `${String.fromCharCode(...all)}\r\n`
}

/** Line ends and dots around the sizes in which sockets and streams cut. */
function dotsAtBorders(): string {
  let body = ''
  for (const border of [4_096, 8_192, 16_384, 65_536]) {
    const missing = border - 3 - body.length
    body += `${'x'.repeat(Math.max(0, missing))}\r\n.\r\n..\r\n`
  }
  return body
}
