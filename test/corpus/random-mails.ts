import { KiB } from '../../src/kernel/size.ts'
import { corpusAddresses, type NamedMail, named } from './named-mail.ts'
import { seededRandom } from './seeded-random.ts'

const lineChars = 76
const lineBytes = lineChars + 2
const poolLines = 4_096

export interface SizeRange {
  readonly bytesMin: number
  readonly bytesMax: number
}

/** What mails with orders weigh: most are small, some carry a scan. */
export const usualSizes: SizeRange = { bytesMin: 5 * KiB, bytesMax: 200 * KiB }

/**
 * Well-formed mails with attachments, the same for the same seed; each has its own Message-ID
 * (`<random-<seed>-<index>@corpus.test>`). Sizes are log-uniform: as many between 5 and 10 KB as between 100 and 200 KB.
 */
export function* randomMails(seed: number, count: number, sizes: SizeRange = usualSizes): Generator<NamedMail> {
  const random = seededRandom(seed)
  const pool = base64Lines(random)
  const { bytesMin, bytesMax } = sizes
  for (let index = 0; index < count; index++) {
    const sizeBytes = Math.round(bytesMin * (bytesMax / bytesMin) ** random())
    const name = `random-${seed}-${index}`
    const [head, tail] = frame(name, random)
    const fillBytes = Math.max(0, sizeBytes - head.length - tail.length)
    yield named(name, head + filler(pool, Math.floor(random() * poolLines), fillBytes) + tail)
  }
}

/** What stands around the attachment. */
function frame(name: string, random: () => number): [head: string, tail: string] {
  const order = Math.floor(random() * 1e9)
  const head = [
    `Received: from mail.fabrikam.test (mail.fabrikam.test [192.0.2.7])\r\n\tby mx.contoso.com; Sat, 21 Nov 2026 08:00:00 +0000`,
    `From: A Customer <${corpusAddresses.customer}>`,
    `To: Orders <${corpusAddresses.mailbox}>`,
    `Subject: Order ${order}`,
    'Date: Sat, 21 Nov 2026 08:00:00 +0000',
    `Message-ID: <${name}@corpus.test>`,
    'MIME-Version: 1.0',
    'Content-Type: multipart/mixed; boundary="=_order"',
    '',
    '--=_order',
    'Content-Type: text/plain; charset=us-ascii',
    '',
    `Please find order ${order} attached.`,
    '..and a line that starts with dots.',
    '',
    '--=_order',
    'Content-Type: application/pdf; name="order.pdf"',
    'Content-Disposition: attachment; filename="order.pdf"',
    'Content-Transfer-Encoding: base64',
    '',
    '',
  ].join('\r\n')
  return [head, '--=_order--\r\n']
}

/** So many octets of base64 lines from the pool; the last line is as short as it must be. */
function filler(pool: string, firstLine: number, bytes: number): string {
  let text = ''
  for (let line = firstLine; bytes - text.length >= 2 * lineBytes; line = 0) {
    const wanted = Math.floor((bytes - text.length - lineBytes) / lineBytes) * lineBytes
    text += pool.slice(line * lineBytes, line * lineBytes + wanted)
  }
  const rest = bytes - text.length
  return rest >= 2 ? `${text}${'A'.repeat(rest - 2)}\r\n` : text
}

function base64Lines(random: () => number): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
  let text = ''
  for (let line = 0; line < poolLines; line++) {
    for (let column = 0; column < lineChars; column++) text += alphabet[Math.floor(random() * 64)]
    text += '\r\n'
  }
  return text
}
