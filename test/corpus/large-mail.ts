import { corpusAddresses, octets } from './named-mail.ts'
import { seededRandom } from './seeded-random.ts'

const chunkLines = 800
const lineChars = 76

export interface LargeMail {
  readonly name: string
  readonly sizeBytes: number
  /** The same octets at every call, about 60 KB at a time; nothing is kept in memory. */
  chunks(): Generator<Uint8Array>
}

/** One mail of exactly so many octets, made while it is read: for sizes that should never lie in memory whole. */
export function largeMail(sizeBytes: number, seed: number): LargeMail {
  const name = `large-${sizeBytes}-${seed}`
  const header = octets(
    [
      `From: A Customer <${corpusAddresses.customer}>`,
      `To: <${corpusAddresses.mailbox}>`,
      'Subject: a large order',
      `Message-ID: <${name}@corpus.test>`,
      'MIME-Version: 1.0',
      'Content-Type: application/octet-stream',
      'Content-Transfer-Encoding: base64',
      '',
      '',
    ].join('\r\n'),
  )
  if (sizeBytes < header.length + 2) throw new Error(`A large mail has at least ${header.length + 2} octets.`)
  return {
    name,
    sizeBytes,
    *chunks() {
      yield header
      const random = seededRandom(seed)
      let leftBytes = sizeBytes - header.length
      while (leftBytes > 0) {
        const lines = Array.from({ length: chunkLines }, () => `${base64Line(random)}\r\n`).join('')
        const text =
          leftBytes <= lines.length ? `${lines.slice(0, leftBytes - 2).replaceAll(/[\r\n]/g, 'A')}\r\n` : lines
        // A rest of one octet could not hold a line end; it goes to the chunk before.
        const whole = leftBytes - text.length === 1 ? `A${text}` : text
        yield octets(whole)
        leftBytes -= whole.length
      }
    },
  }
}

/** One random number per line is enough: the lines need to differ, not to be secret. */
function base64Line(random: () => number): string {
  const word = Math.floor(random() * 2 ** 32).toString(36)
  return word.repeat(Math.ceil(lineChars / word.length)).slice(0, lineChars)
}
