import { isUtf8 } from 'node:buffer'

const decoders = new Map<string, Decode | undefined>()
const decodersMax = 100

type Decode = (bytes: Uint8Array) => string

/** The text of bytes in a charset as mails name it; undefined for a charset that nobody knows. */
export function decodeCharset(bytes: Uint8Array, charset: string): string | undefined {
  const name = charset.toLowerCase()
  if (!decoders.has(name)) {
    if (decoders.size >= decodersMax) decoders.clear()
    decoders.set(name, decoderOf(name))
  }
  return decoders.get(name)?.(bytes)
}

/** The text of octets of which nobody says the charset: UTF-8 where they are that, else Latin-1. */
export function decodeUnlabelled(octets: Buffer): string {
  return octets.toString(isUtf8(octets) ? 'utf8' : 'latin1')
}

function decoderOf(name: string): Decode | undefined {
  if (/^(?:unicode-1-1-)?utf-7$/.test(name)) return decodeUtf7
  const page = pages.get(name.replace(/^(?:ibm|cp|cp-)(?=\d)/, ''))
  if (page !== undefined) return bytes => decodePage(bytes, page)
  try {
    const decoder = new TextDecoder(windowsPages.get(name) ?? name)
    return bytes => decodeWith(decoder, bytes)
  } catch {
    // It does not exist, or is so rare that browsers lack it.
    return undefined
  }
}

/** Code pages of DOS, which old programs still write, and TextDecoder lacks: the characters from 0x80 on. */
const pages: ReadonlyMap<string, string> = new Map(
  Object.entries({
    437: 'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0',
    850: 'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u00ad±‗¾¶§÷¸°¨·¹³²■\u00a0',
  }),
)

/** What Windows calls charsets that have another name everywhere else. */
const windowsPages: ReadonlyMap<string, string> = new Map(
  Object.entries({
    cp932: 'shift_jis',
    cp936: 'gbk',
    cp949: 'euc-kr',
    cp950: 'big5',
  }),
)

function decodePage(bytes: Uint8Array, page: string): string {
  return Array.from(bytes, byte => (byte < 0x80 ? String.fromCharCode(byte) : page[byte - 0x80])).join('')
}

/** What a decoder makes of bytes; of ISO-2022-JP also where nothing stands between two shifts. */
export function decodeWith(decoder: InstanceType<typeof TextDecoder>, bytes: Uint8Array): string {
  return decoder.decode(decoder.encoding === 'iso-2022-jp' ? withoutIdleShifts(bytes) : bytes)
}

/**
 * Without the shifts of ISO-2022-JP behind which the next one follows at once: where two encoded words or fields meet.
 * TextDecoder takes it for an error, since the Encoding Standard takes it for an attack.
 */
function withoutIdleShifts(bytes: Uint8Array): Uint8Array {
  const latin1 = Buffer.from(bytes).toString('latin1')
  return Buffer.from(latin1.replace(/\x1b(?:\([BIJ]|\$[@B])(?=\x1b)/g, ''), 'latin1')
}

/** RFC 2152: `+AOQ-` is ä. */
function decodeUtf7(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('latin1')
    .replace(/\+([A-Za-z0-9+/]*)-?/g, (_, encoded: string) => {
      const units = Buffer.from(encoded, 'base64')
      return encoded === '' ? '+' : new TextDecoder('utf-16be').decode(units.subarray(0, units.length & ~1))
    })
}
