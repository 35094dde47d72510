import { afterEach, describe, expect, test } from 'vitest'
import type { S4SmtpOptions } from '../../src/twins/s4-smtp/s4-smtp.ts'
import { afterData, survivesData } from '../corpus/after-data.ts'
import { hostileMails } from '../corpus/hostile-mails.ts'
import { corpusAddresses, type NamedMail } from '../corpus/named-mail.ts'
import { type MailWorld, mailWorld, stopWorlds } from './mail-world.ts'

afterEach(stopWorlds)

const mails = hostileMails()
const { mailbox, sap } = corpusAddresses

/** What does not arrive wherever it goes, and why. */
const loops = {
  'received-51': /^IMAP_LOOP Mail \d+ of orders@contoso\.com has 51 Received lines/,
  'received-500': /^IMAP_LOOP Mail \d+ of orders@contoso\.com has 500 Received lines/,
  'x-loop-own': /^SMTP_LOOP .* it has been at inbound@s4\.local before/,
  'delivered-to-own': /^SMTP_LOOP .* it has been at inbound@s4\.local before/,
  'from-own-domain': /^SMTP_LOOP .* it comes from batch@s4\.local/,
}

interface Case {
  readonly title: string
  readonly extensions: S4SmtpOptions['extensions']
  readonly setAside: Readonly<Record<string, RegExp>>
  /** What may become of the bytes on this way. */
  expected(bytes: Uint8Array): Uint8Array
  command(bytes: Uint8Array): 'DATA' | 'BDAT'
}

const cases: readonly Case[] = [
  {
    title: 'to a server with CHUNKING, every octet as it was',
    extensions: { chunking: true, binaryMime: true, pipelining: true, smtpUtf8: true },
    setAside: loops,
    expected: bytes => bytes,
    command: bytes => (survivesData(bytes) ? 'DATA' : 'BDAT'),
  },
  {
    title: 'to a server that knows DATA alone, with no change but to line ends',
    extensions: { chunking: false, smtpUtf8: false },
    setAside: { ...loops, 'from-smtputf8': /^SMTP_SMTPUTF8_MISSING .* köln@xn--bcher-kva\.test needs SMTPUTF8/ },
    expected: afterData,
    command: () => 'DATA',
  },
]

describe('every hostile mail, from Exchange', () => {
  test.each(cases)('$title', async ({ extensions = {}, setAside, expected, command }) => {
    const world = await mailWorld({
      s4: { clients: [{ client: '100', domains: ['s4.local'] }], extensions },
      flows: [{ smtp: { to: sap, loop: { 'own-domains': ['s4.local'] } } }],
    })
    const byUid = new Map<number, NamedMail>()
    // Exchange serves any octet unchanged, bare LF and NUL too, which other mail servers repair.
    for (const mail of mails) byUid.set(world.exchange.deliver(mailbox, mail.bytes), mail)
    await world.until('every mail to leave INBOX', () => world.exchange.list(mailbox).length === 0)

    const fates = await fatesOf(world, byUid)
    const arrived = [...fates].filter(([, { state }]) => state === 'delivered').map(([name]) => name)
    const stayed = mails.map(({ name }) => name).filter(name => !arrived.includes(name))
    expect(stayed.toSorted()).toEqual(Object.keys(setAside).toSorted())
    expect(world.s4.received).toHaveLength(arrived.length)

    for (const { name, bytes } of mails) {
      const fate = fates.get(name)
      const reason = setAside[name]
      if (reason) {
        const reasons = fate?.reason === undefined ? troublesOf(world) : [fate.reason]
        expect([name, reasons.filter(text => reason.test(text)).length]).toEqual([name, 1])
        continue
      }
      const received = world.s4.received[(fate?.document ?? 0) - 1]
      expect([name, received?.command]).toEqual([name, command(bytes)])
      expect([name, received?.octets?.toString('latin1')]).toEqual([name, textOf(expected(bytes))])
      // A line end that had to be repaired is told in the receipt.
      const isRepaired = /(?<!\r)\n|\r(?!\n)/.test(textOf(bytes)) && received?.command === 'DATA'
      expect([name, fate?.lineEnds !== undefined]).toEqual([name, isRepaired])
    }
    const inFolder = (name: string) => world.exchange.list(mailbox, name).map(({ content }) => textOf(content()))
    const textsOf = (some: readonly NamedMail[]) => some.map(({ bytes }) => textOf(bytes)).toSorted()
    expect(inFolder('Failed').toSorted()).toEqual(textsOf(mails.filter(({ name }) => name in setAside)))
    expect(inFolder('Processed').toSorted()).toEqual(textsOf(mails.filter(({ name }) => !(name in setAside))))
  })
})

interface Fate {
  readonly state: string
  readonly reason: string | undefined
  /** Number of the document in SAPoffice, which the answer to the mail tells: 1 for the first. */
  readonly document: number
  readonly lineEnds: unknown
}

interface SeenMail {
  readonly attributes: { readonly uid: number }
  readonly receipts: readonly { readonly fields?: { readonly lineEnds?: string } }[]
}

async function fatesOf(world: MailWorld, byUid: ReadonlyMap<number, NamedMail>): Promise<Map<string, Fate>> {
  const fates = new Map<string, Fate>()
  for (const { id, state, summary, error } of await world.find('limit=1000')) {
    const detail = await world.ask<SeenMail>('GET', `/api/messages/${id}`)
    fates.set(byUid.get(detail.attributes.uid)?.name ?? id, {
      state,
      reason: error && `${error.code} ${error.message}`,
      document: Number(/document FOL38000000000004EXT(\d+)$/.exec(summary ?? '')?.[1] ?? 0),
      lineEnds: detail.receipts[0]?.fields?.lineEnds,
    })
  }
  return fates
}

/** What the link told of mails that were not taken in. */
function troublesOf(world: MailWorld): string[] {
  return world.log
    .flatMap(text => text.split('\n'))
    .filter(line => line.includes('"event":"link.trouble"'))
    .map(line => JSON.parse(line) as { code: string; error: string })
    .map(({ code, error }) => `${code} ${error}`)
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}
