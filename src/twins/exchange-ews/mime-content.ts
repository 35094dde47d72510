import { decodeHeaderText } from '../../kernel/encoded-word.ts'
import { namespaces } from '../../protocols/ews/write-xml.ts'
import { parseAddresses } from '../../protocols/mime/address.ts'
import { firstValues, readMailHeader } from '../../protocols/mime/header.ts'
import type { XmlElement } from '../../protocols/xml/xml-element.ts'
import type { TwinItem } from './world.ts'

const { types } = namespaces

export function textPart(name: string, text: string, attributes: Readonly<Record<string, string>> = {}): XmlElement {
  return { name, namespace: types, attributes: new Map(Object.entries(attributes)), children: [], text }
}

function group(name: string, children: readonly XmlElement[]): XmlElement {
  return { name, namespace: types, attributes: new Map(), children, text: '' }
}

/** Fields of a message out of the mail that came with it, where they were not given. */
export function fillFromMime(item: TwinItem): void {
  if (item.mime === undefined || item.itemClass !== 'Message') return
  const mail = Buffer.from(item.mime, 'base64')
  const headers = new Map(Object.entries(firstValues(readMailHeader(mail))))
  const bodyAt = mail.indexOf('\r\n\r\n')
  const set = (name: string, part: XmlElement | undefined) => {
    if (part && !item.fields.has(name)) item.fields.set(name, part)
  }
  const text = (header: string, name: string) => {
    const value = headers.get(header)
    if (value !== undefined) set(name, textPart(name, decodeHeaderText(value)))
  }
  text('subject', 'Subject')
  text('message-id', 'InternetMessageId')
  text('in-reply-to', 'InReplyTo')
  text('references', 'References')
  set('Body', textPart('Body', bodyAt < 0 ? '' : mail.subarray(bodyAt + 4).toString(), { BodyType: 'Text' }))
  const sentAt = Date.parse(headers.get('date') ?? '')
  if (!Number.isNaN(sentAt)) set('DateTimeSent', textPart('DateTimeSent', new Date(sentAt).toISOString()))
  const [from] = mailboxesIn(headers.get('from'))
  if (from) set('From', group('From', [from]))
  for (const [header, name] of [
    ['to', 'ToRecipients'],
    ['cc', 'CcRecipients'],
  ] as const) {
    const people = mailboxesIn(headers.get(header))
    if (people.length > 0) set(name, group(name, people))
  }
}

/** The mail of a message that was not made from one. */
export function mimeOf(item: TwinItem): string {
  if (item.mime !== undefined) return item.mime
  const field = (name: string) => item.fields.get(name)?.text ?? ''
  const people = (name: string) =>
    (item.fields.get(name)?.children ?? []).map(
      each => `<${each.children.find(part => part.name === 'EmailAddress')?.text ?? ''}>`,
    )
  const words = Buffer.from(field('Subject')).toString('base64')
  const lines = [
    `From: ${people('From').join(', ')}`,
    `To: ${people('ToRecipients').join(', ')}`,
    `Subject: =?utf-8?B?${words}?=`,
    `Message-ID: ${field('InternetMessageId')}`,
    'MIME-Version: 1.0',
    `Content-Type: text/${item.fields.get('Body')?.attributes.get('BodyType') === 'HTML' ? 'html' : 'plain'}; charset=utf-8`,
    'Content-Transfer-Encoding: 8bit',
    '',
    field('Body').replaceAll('\n', '\r\n'),
  ]
  return Buffer.from(lines.join('\r\n')).toString('base64')
}

function mailboxesIn(header: string | undefined): readonly XmlElement[] {
  return parseAddresses(header ?? '').map(({ name, address }) =>
    group('Mailbox', [...(name === '' ? [] : [textPart('Name', name)]), textPart('EmailAddress', address)]),
  )
}
