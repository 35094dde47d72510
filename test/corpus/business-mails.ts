import { corpusAddresses, mailWith, type NamedMail } from './named-mail.ts'

/** Whole mails whose bytes carry meaning: signatures, invitations, and what machines answer. */
export function businessMails(): NamedMail[] {
  return [...answersOfMachines(), ...signed(), ...invitations()]
}

function answersOfMachines(): NamedMail[] {
  const automatic = { isAutomatic: true }
  return [
    mailWith(
      'bounce',
      [
        'Return-Path: <>',
        'From: Mail Delivery System <MAILER-DAEMON@fabrikam.test>',
        'Auto-Submitted: auto-replied',
        'MIME-Version: 1.0',
        'Content-Type: multipart/report; report-type=delivery-status; boundary=r',
      ],
      report('message/delivery-status', [
        'Reporting-MTA: dns; mx.fabrikam.test',
        '',
        `Final-Recipient: rfc822; ${corpusAddresses.customer}`,
        'Action: failed',
        'Status: 5.1.1',
      ]),
      automatic,
    ),
    mailWith(
      'read-receipt',
      [
        'Return-Path: <>',
        'MIME-Version: 1.0',
        'Content-Type: multipart/report; report-type=disposition-notification; boundary=r',
      ],
      report('message/disposition-notification', [
        `Final-Recipient: rfc822; ${corpusAddresses.customer}`,
        'Original-Message-ID: <order@contoso.com>',
        'Disposition: manual-action/MDN-sent-manually; displayed',
      ]),
      automatic,
    ),
    mailWith(
      'holiday-note',
      ['Auto-Submitted: auto-replied', 'X-Auto-Response-Suppress: All'],
      'I am away.\r\n',
      automatic,
    ),
    mailWith('auto-generated', ['Auto-Submitted: auto-generated (nightly)'], 'Your order.\r\n', automatic),
    mailWith('null-return-path', ['Return-Path: <>'], 'From a machine without a word about it.\r\n', automatic),
    mailWith('auto-submitted-no', ['Auto-Submitted: no'], 'A person wrote this.\r\n'),
    mailWith(
      'mailing-list',
      ['Precedence: list', 'List-Id: <orders.fabrikam.test>', 'List-Unsubscribe: <mailto:x@y>'],
      'Hi\r\n',
    ),
  ]
}

/** Signatures break with the first changed octet, trailing spaces and odd folds included. */
function signed(): NamedMail[] {
  const base64 = Buffer.from(Array.from({ length: 1_500 }, (_unused, index) => (index * 131 + 7) % 256)).toString(
    'base64',
  )
  const lines = base64.replace(/.{76}/g, '$&\r\n')
  const text =
    'Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nOrder 4711. \r\n\r\n--  \r\nGr\xc3\xbc\xc3\x9fe\r\n'
  const signature = `Content-Type: application/pkcs7-signature; name=smime.p7s\r\nContent-Transfer-Encoding: base64\r\n\r\n${lines}\r\n`
  return [
    mailWith(
      'smime-signed',
      [
        'MIME-Version: 1.0',
        'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256; boundary=s',
      ],
      `This is an S/MIME signed message\r\n\r\n--s\r\n${text}\r\n--s\r\n${signature}\r\n--s--\r\n\r\n`,
    ),
    mailWith(
      'smime-encrypted',
      [
        'MIME-Version: 1.0',
        'Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m',
        'Content-Transfer-Encoding: base64',
      ],
      `${lines}\r\n`,
    ),
    mailWith(
      'pgp-signed',
      [
        'MIME-Version: 1.0',
        'Content-Type: multipart/signed; protocol="application/pgp-signature"; micalg=pgp-sha512; boundary=s',
      ],
      `--s\r\n${text}\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\n-----BEGIN PGP SIGNATURE-----\r\n\r\niQEz\r\n-----END PGP SIGNATURE-----\r\n--s--\r\n`,
    ),
    mailWith(
      'dkim-signed',
      [
        'DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=fabrikam.test; s=k1;\r\n\th=From:To:Subject:Date;\r\n\tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n\tb=AAAA\r\n\t BBBB  CCCC',
        'Authentication-Results: mx.contoso.com; dkim=pass header.d=fabrikam.test',
        'ARC-Seal: i=1; a=rsa-sha256; d=fabrikam.test; s=k1; cv=none; b=AAAA',
      ],
      'Simple canonicalization forgives nothing.   \r\n\r\n\r\n',
    ),
  ]
}

function invitations(): NamedMail[] {
  const calendar = (method: string) =>
    [
      'BEGIN:VCALENDAR',
      'VERSION:2.0',
      'PRODID:-//corpus//EN',
      `METHOD:${method}`,
      'BEGIN:VEVENT',
      'UID:meeting-1@corpus.test',
      'DTSTART:20261201T090000Z',
      `ATTENDEE;CN="Orders":mailto:${corpusAddresses.mailbox}`,
      'SUMMARY:A summary that is folded in the middle of a wo',
      ' rd',
      'END:VEVENT',
      'END:VCALENDAR',
      '',
    ].join('\r\n')
  const alternative = ['MIME-Version: 1.0', 'Content-Type: multipart/alternative; boundary=c']
  const part = (method: string) =>
    `Content-Type: text/calendar; charset=utf-8; method=${method}\r\n\r\n${calendar(method)}`
  return [
    mailWith('invitation', alternative, `--c\r\n\r\nA meeting.\r\n--c\r\n${part('REQUEST')}\r\n--c--\r\n`),
    mailWith('invitation-withdrawn', alternative, `--c\r\n${part('CANCEL')}\r\n--c--\r\n`),
    mailWith(
      'tnef',
      ['MIME-Version: 1.0', 'Content-Type: application/ms-tnef; name=winmail.dat'],
      '\x78\x9f\x3e\x22\x01\x00\x06\x90\r\n',
    ),
  ]
}

function report(type: string, lines: readonly string[]): string {
  const original = 'Content-Type: text/rfc822-headers\r\n\r\nSubject: the original\r\n'
  return `--r\r\n\r\nFor people.\r\n--r\r\nContent-Type: ${type}\r\n\r\n${lines.join('\r\n')}\r\n\r\n--r\r\n${original}\r\n--r--\r\n`
}
