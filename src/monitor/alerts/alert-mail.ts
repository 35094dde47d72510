import { randomUUID } from 'node:crypto'
import type { Mail } from './channels.ts'

/** The octets of a short mail (RFC 5322), any letters allowed in subject and text. */
export function composeMail(mail: Mail, now: number): Buffer {
  const domain = mail.from.slice(mail.from.lastIndexOf('@') + 1)
  const headers = [
    `From: ${mail.from}`,
    `To: ${mail.to.join(', ')}`,
    `Subject: ${encodeWords(mail.subject)}`,
    `Date: ${new Date(now).toUTCString().replace('GMT', '+0000')}`,
    `Message-ID: <${randomUUID()}@${domain}>`,
    // RFC 3834: no out-of-office answer comes back to a machine.
    'Auto-Submitted: auto-generated',
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    'Content-Transfer-Encoding: base64',
  ]
  const text = Buffer.from(mail.text.replace(/\r?\n/g, '\r\n')).toString('base64')
  const lines = text.match(/.{1,76}/g) ?? []
  return Buffer.from([...headers, '', ...lines, ''].join('\r\n'))
}

// RFC 2047 section 2: an encoded word has at most 75 letters, and a letter of UTF-8 must not be cut in two.
const wordBytesMax = 42

function encodeWords(text: string): string {
  // Without control characters, so that no value can begin a header of its own.
  const clean = text.replace(/\p{Cc}+/gu, ' ')
  if (/^[\x20-\x7e]*$/.test(clean) && clean.length < 70) return clean
  const words: string[] = []
  let word = ''
  for (const letter of clean) {
    if (Buffer.byteLength(word + letter) > wordBytesMax) {
      words.push(word)
      word = ''
    }
    word += letter
  }
  words.push(word)
  return words.map(part => `=?utf-8?B?${Buffer.from(part).toString('base64')}?=`).join('\r\n ')
}
