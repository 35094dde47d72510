import { mailWith, type NamedMail, utf8 } from './named-mail.ts'

const depthMax = 200
const partsMax = 2_000

/** MIME that is broken, or whole and beyond what a reader expects. */
export function mimeShapes(): NamedMail[] {
  return [
    multipart('boundary-never-closed', 'boundary=b', '--b\r\n\r\nOne\r\n--b\r\n\r\nTwo\r\n'),
    multipart('boundary-never-opened', 'boundary=b', 'Only a preamble.\r\n'),
    multipart('boundary-closed-twice', 'boundary=b', '--b\r\n\r\nOne\r\n--b--\r\n--b--\r\nEpilogue\r\n'),
    multipart('boundary-missing', '', '--b\r\n\r\nOne\r\n--b--\r\n'),
    multipart('boundary-empty', 'boundary=""', '--\r\n\r\nOne\r\n----\r\n'),
    multipart('boundary-twice', 'boundary=a; boundary=b', '--a\r\n\r\nIn a\r\n--b\r\n\r\nIn b\r\n--a--\r\n--b--\r\n'),
    multipart(
      'boundary-of-specials',
      `boundary="=_'()+,-./:=? x"`,
      `--=_'()+,-./:=? x\r\n\r\nOne\r\n--=_'()+,-./:=? x--\r\n`,
    ),
    multipart(
      'boundary-like-a-word',
      'boundary="=?utf-8?Q?b?="',
      '--=?utf-8?Q?b?=\r\n\r\nOne\r\n--=?utf-8?Q?b?=--\r\n',
    ),
    multipart('boundary-of-500', `boundary="${'b'.repeat(500)}"`, `--${'b'.repeat(500)}\r\n\r\nOne\r\n`),
    multipart('boundary-is-a-prefix', 'boundary=b', '--bb\r\n\r\nNot a part\r\n--b\r\n\r\nA part\r\n--b--\r\n'),
    multipart('boundary-with-bare-lf', 'boundary=b', '--b\n\nOne\n--b--\n'),
    multipart('boundary-with-spaces-behind', 'boundary=b', '--b \t\r\n\r\nOne\r\n--b-- \r\n'),
    multipart('boundary-of-dots', 'boundary="."', '--.\r\n\r\n.\r\n--.--\r\n'),
    multipart('part-without-blank-line', 'boundary=b', '--b\r\nContent-Type: text/plain\r\n--b--\r\n'),
    multipart('depth-200', 'boundary=b0', nested(depthMax)),
    multipart('parts-2000', 'boundary=b', manyParts(partsMax)),
    multipart('parts-empty-500', 'boundary=b', `${'--b\r\n\r\n'.repeat(500)}--b--\r\n`),
    mailWith('message-in-message', ['MIME-Version: 1.0', 'Content-Type: message/rfc822'], messageInMessage(50)),
    mailWith('partial', ['MIME-Version: 1.0', 'Content-Type: message/partial; id="x"; number=2; total=1'], 'Part\r\n'),
    attachment('type-behind-200-kib', 'filename="order.exe"', `X-Sent: ${'x'.repeat(990)}\r\n`.repeat(200)),
    attachment('type-behind-folded-blanks', 'filename="order.exe"', 'X-Sent: yes\r\n \t\r\n'),
    attachment('name-in-continuations', continuations(60)),
    attachment(
      'name-in-broken-continuations',
      `filename*0*=utf-8''%E4%; filename*2="b"; filename*1*=%ZZ; filename*0="again"`,
    ),
    attachment('name-with-charset-unknown', `filename*=x-klingon'tlh'%01%02`),
    attachment('name-as-path', `filename="../../etc/passwd"`),
    attachment('name-as-windows-path', `filename="C:\\\\Windows\\\\..\\\\order.pdf"`),
    attachment('name-with-nul-code', `filename*=utf-8''order%00.exe`),
    attachment('name-with-crlf-code', `filename*=utf-8''order%0D%0ABcc%3A%20x.pdf`),
    attachment('name-unterminated', `filename="order.pdf`),
    attachment('name-utf8-raw', utf8('filename="Bestellung für Köln 你好.pdf"')),
    attachment('name-latin1-raw', 'filename="Best\xe4tigung.pdf"'),
    attachment('name-in-words-cut', 'filename="=?utf-8*de?B?QmVzdMM=?=\r\n\t=?utf-8*de?B?pHRpZ3VuZy5wZGY=?="'),
    encoded('base64-with-garbage', 'base64', 'SGVs*#bG8\r\n=gd29\r\n====\r\nybGQ\r\n'),
    encoded('base64-cut', 'base64', 'SGVsbG8gd29yb\r\n'),
    encoded('base64-in-one-line', 'base64', `${'QUJD'.repeat(20_000)}\r\n`),
    encoded('quoted-printable-broken', 'quoted-printable', '=ZZ=\r\n=4=\r\n=\r\n=3D=\r\nend='),
    encoded('encoding-unknown', 'x-rot-26', 'Body\r\n'),
    encoded('encoding-twice', 'base64\r\nContent-Transfer-Encoding: 7bit', 'SGVsbG8=\r\n'),
    encoded('uuencode', 'x-uuencode', 'begin 644 ../order\r\n#0V%T\r\n`\r\nend\r\n'),
    mailWith(
      'binary-part',
      ['MIME-Version: 1.0', 'Content-Type: application/octet-stream', 'Content-Transfer-Encoding: binary'],
      '\x00\x01\r\x02\n\x03\r\n.\r\n\xff',
    ),
    mailWith(
      'content-type-odd',
      ['MIME-Version: 1.0', 'Content-Type: ;;; charset=; ="x"; a=b=c; text/plain'],
      'Body\r\n',
    ),
    mailWith(
      'content-type-thrice',
      ['Content-Type: text/plain', 'Content-Type: text/html', 'Content-Type: a/b'],
      'Body\r\n',
    ),
    mailWith('mime-version-odd', ['MIME-Version: (comment (nested) \\)) 99.x', 'Content-Type: text/plain'], 'Body\r\n'),
    mailWith(
      'charset-utf16',
      ['MIME-Version: 1.0', 'Content-Type: text/plain; charset=utf-16'],
      '\xff\xfeO\x00r\x00d\x00\r\x00\n\x00',
    ),
  ]
}

function multipart(name: string, parameter: string, body: string): NamedMail {
  const type = `Content-Type: multipart/mixed${parameter === '' ? '' : `; ${parameter}`}`
  return mailWith(name, ['MIME-Version: 1.0', type], body)
}

function attachment(name: string, parameter: string, before = ''): NamedMail {
  const disposition = `Content-Disposition: attachment; ${parameter}`
  const part = `--b\r\n${before}Content-Type: application/pdf\r\n${disposition}\r\n\r\n%PDF-1.4\r\n--b--\r\n`
  return multipart(name, 'boundary=b', part)
}

function encoded(name: string, encoding: string, body: string): NamedMail {
  const headers = [
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    `Content-Transfer-Encoding: ${encoding}`,
  ]
  return mailWith(name, headers, body)
}

function nested(depth: number): string {
  let inner = 'Content-Type: text/plain\r\n\r\nAt the bottom.\r\n'
  for (let level = depth; level > 0; level--) {
    inner = `Content-Type: multipart/mixed; boundary=b${level}\r\n\r\n--b${level}\r\n${inner}\r\n--b${level}--\r\n`
  }
  return `--b0\r\n${inner}\r\n--b0--\r\n`
}

function manyParts(count: number): string {
  const parts = Array.from(
    { length: count },
    (_unused, index) => `--b\r\nContent-ID: <${index}@corpus.test>\r\n\r\nPart ${index}\r\n`,
  )
  return `${parts.join('')}--b--\r\n`
}

function messageInMessage(depth: number): string {
  return `${'Content-Type: message/rfc822\r\n\r\n'.repeat(depth)}Subject: the innermost\r\n\r\nBody\r\n`
}

/** A file name in RFC 2231 pieces, each on a line of its own, out of order. */
function continuations(count: number): string {
  const pieces = Array.from({ length: count }, (_unused, index) =>
    index === 0 ? `filename*0*=utf-8'de'Bestellung%20f%C3%BCr` : `filename*${index}*=%20Teil%20${index}`,
  )
  return pieces.toReversed().join(';\r\n\t')
}
