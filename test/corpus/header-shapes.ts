import { corpusAddresses, mailWith, type NamedMail, named, utf8 } from './named-mail.ts'

/** Headers that mislead whoever reads an address, an id or a subject from them. */
export function headerShapes(): NamedMail[] {
  return [...senders(), ...recipients(), ...messageIds(), ...words(), ...masses()]
}

function senders(): NamedMail[] {
  const from = (name: string, value: string) => mailWith(name, [`From: ${value}`], 'Who sent this?\r\n')
  return [
    from('from-with-comment-host', 'account)@silly.test(his host)'),
    from('from-with-comment-host-in-brackets', '<account)@silly.test(his host)>'),
    from('from-empty', ''),
    from('from-null', '<>'),
    from('from-without-domain', '<postmaster>'),
    from('from-with-two-ats', '<a@b@fabrikam.test>'),
    from('from-with-spaces', '<a b c@fabrikam.test>'),
    from('from-with-command', '<a@fabrikam.test> SIZE=0\r\n\tRCPT TO:<evil@contoso.com>'),
    from('from-with-control-octets', '<a\x01\x07\x1b[31m@fabrikam.test>'),
    from('from-quoted-crlf', '"a\\\r\n b"@fabrikam.test'),
    from('from-quoted-local-part', '"john..doe \\"x\\" @home"@fabrikam.test'),
    from('from-with-route', '<@relay.test,@second.test:a@fabrikam.test>'),
    from('from-with-ip', '<a@[127.0.0.1]>'),
    from('from-with-ipv6', '<a@[IPv6:::1]>'),
    from('from-long-local-part', `<${'a'.repeat(300)}@fabrikam.test>`),
    from('from-long-domain', `<a@${'b.'.repeat(400)}test>`),
    from('from-list', '<a@fabrikam.test>, <b@fabrikam.test>, c@fabrikam.test'),
    from('from-in-deep-comments', `${'('.repeat(2_000)}x${')'.repeat(2_000)} a@fabrikam.test`),
    from('from-in-open-comment', '(never closed a@fabrikam.test'),
    from('from-in-open-quotes', '"never closed <a@fabrikam.test>'),
    from('from-smtputf8', utf8('<köln@bücher.test>')),
    from('from-display-name-lies', `"${corpusAddresses.mailbox}" <attacker@fabrikam.test>`),
    mailWith('from-twice', ['From: <first@fabrikam.test>', 'From: <second@fabrikam.test>'], 'Two senders.\r\n'),
    named('from-missing', 'Subject: from nobody\r\nMessage-ID: <from-missing@corpus.test>\r\n\r\nBody\r\n'),
    mailWith('return-path-hostile', ['Return-Path: <a@b> NOTIFY=NEVER', 'Sender: ;;;'], 'Body\r\n'),
  ]
}

function recipients(): NamedMail[] {
  const to = (name: string, value: string) => mailWith(name, [`To: ${value}`], 'To whom?\r\n')
  const many = Array.from({ length: 2_000 }, (_unused, index) => `person${index}@contoso.com`)
  return [
    to('to-group', 'Buyers: a@contoso.com, "B, C" <b@contoso.com>, (none) ;'),
    to('to-group-empty', 'undisclosed-recipients:;'),
    to('to-group-open', 'Buyers: a@contoso.com, b@contoso.com'),
    to('to-many', many.join(',\r\n ')),
    to('to-smtputf8', utf8('Jürgen <jürgen@contoso.com>, <用户@例子.test>')),
    to('to-commas', ',,,,, a@contoso.com ,,,'),
    to('to-semicolons', 'a@contoso.com; b@contoso.com'),
    to('to-encoded-word-address', '=?utf-8?B?YUBjb250b3NvLmNvbQ==?='),
    named('to-missing', 'From: <a@fabrikam.test>\r\nMessage-ID: <to-missing@corpus.test>\r\n\r\nBody\r\n'),
    mailWith('resent', ['Resent-To: <x@contoso.com>', 'Resent-Bcc: <y@contoso.com>', 'Resent-From: <z@z>'], 'Body\r\n'),
  ]
}

function messageIds(): NamedMail[] {
  const id = (name: string, value: string) => mailWith(name, [`Message-ID: ${value}`], `${name}\r\n`)
  return [
    id('message-id-same-first', '<the-same@corpus.test>'),
    id('message-id-same-second', '<the-same@corpus.test>'),
    id('message-id-empty', ''),
    id('message-id-without-brackets', 'no-brackets@corpus.test'),
    id('message-id-with-spaces', '<with spaces and (a comment)@corpus.test>'),
    id('message-id-of-3000', `<${'i'.repeat(3_000)}@corpus.test>`),
    id('message-id-folded', '\r\n\t<folded@corpus.test>'),
    id('message-id-with-quotes', `<'";DROP TABLE messages;--@corpus.test>`),
    mailWith('message-id-twice', ['Message-ID: <one@corpus.test>', 'Message-ID: <two@corpus.test>'], 'Body\r\n'),
    named('message-id-missing', `From: <a@fabrikam.test>\r\nTo: <${corpusAddresses.mailbox}>\r\n\r\nNo id.\r\n`),
  ]
}

function words(): NamedMail[] {
  const subject = (name: string, value: string) => mailWith(name, [`Subject: ${value}`], 'Body\r\n')
  return [
    subject('subject-encoded-word-cut', '=?utf-8?Q?never_closed'),
    subject('subject-encoded-word-charset', '=?x-none?B?SGVsbG8=?= =?utf-8?X?what?= =?utf-8?B?****?='),
    subject('subject-encoded-word-splits-character', '=?utf-8?Q?f=C3?= =?utf-8?Q?=BCr?='),
    subject(
      'subject-encoded-words-shifting',
      '=?ISO-2022-JP?B?GyRCQ21KOD1xGyhC?=\r\n =?ISO-2022-JP?B?GyRCPHVJVUhWOWYbKEI=?=',
    ),
    subject('subject-encoded-word-of-5000', `=?utf-8?Q?${'=41'.repeat(5_000)}?=`),
    subject('subject-encoded-crlf', '=?utf-8?Q?order=0D=0ABcc:_evil@contoso.com?='),
    subject('subject-encoded-words-1000', Array.from({ length: 1_000 }, () => '=?utf-8?Q?a?=').join('\r\n ')),
    subject('subject-expression', `\${params.mailbox} {{7*7}} %s%n $(id) \`id\``),
    subject('subject-folded-with-tabs', 'an\r\n\torder\r\n\t\tin\r\n \t many\r\n\t \tlines'),
    subject('subject-folded-with-blank-lines', 'an order\r\n \r\n\t\r\n ends here'),
    subject('subject-empty', ''),
    subject('subject-bidi', utf8('\u202egpj.redro\u202c order')),
    mailWith('header-name-with-space', ['X Odd : value', 'Subject : spaced'], 'Body\r\n'),
    mailWith('header-without-name', [': no name', '::'], 'Body\r\n'),
    mailWith('header-without-value', ['X-Empty:', 'X-Blank:   \t'], 'Body\r\n'),
    mailWith(
      'header-named-like-objects',
      ['__proto__: x', 'constructor: y', 'toString: z', 'hasOwnProperty: w'],
      'Body\r\n',
    ),
    mailWith('date-nonsense', ['Date: Thu, 99 Foo 99999 25:61:61 +9999'], 'Body\r\n'),
  ]
}

function masses(): NamedMail[] {
  const lines = (count: number) => Array.from({ length: count }, (_unused, index) => `X-Number-${index}: ${index}`)
  const folds = Array.from({ length: 3_000 }, (_unused, index) => ` fold ${index}`)
  return [
    mailWith('headers-5000', lines(5_000), 'Five thousand headers.\r\n', { expectation: 'either' }),
    mailWith(
      'headers-same-name-2000',
      Array.from({ length: 2_000 }, () => 'X-Same: y'),
      'Body\r\n',
    ),
    mailWith('header-folded-3000-times', [`X-Folded: ${folds.join('\r\n')}`], 'Body\r\n'),
    // Larger than the hub keeps of headers: it may refuse to take it, but has to say so.
    mailWith('headers-of-1-mib', [`X-Huge: ${'h'.repeat(1024 * 1024)}`], 'Body\r\n', { expectation: 'either' }),
  ]
}
