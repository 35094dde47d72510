import { childOf, textOf, type XmlElement } from '../xml/xml-element.ts'
import { element, textElement } from './write-xml.ts'

/** A file of an item. Items within items (forwarded mails) come as the type message/rfc822. */
export interface AttachmentFacts {
  readonly id: string
  readonly name: string
  readonly type: string
  readonly bytes: number
  readonly isInline: boolean
  readonly isItem: boolean
}

export interface NewAttachment {
  readonly name: string
  readonly type: string
  readonly isInline: boolean
  readonly content: Uint8Array
}

export function readAttachments(item: XmlElement): readonly AttachmentFacts[] {
  const facts: AttachmentFacts[] = []
  for (const child of childOf(item, 'Attachments')?.children ?? []) {
    const id = childOf(child, 'AttachmentId')?.attributes.get('Id')
    const isItem = child.name === 'ItemAttachment'
    // A ReferenceAttachment is a link: the server has no bytes of it.
    if (id === undefined || !(isItem || child.name === 'FileAttachment')) continue
    const type = textOf(child, 'ContentType') ?? (isItem ? 'message/rfc822' : 'application/octet-stream')
    facts.push({
      id,
      name: childOf(child, 'Name')?.text ?? '',
      type,
      bytes: Number(textOf(child, 'Size') ?? 0),
      isInline: textOf(child, 'IsInline') === 'true',
      isItem,
    })
  }
  return facts
}

/** `t:Attachments` of a new item: the files travel with it in one request. */
export function writeAttachments(files: readonly NewAttachment[]): string {
  return element('t:Attachments', {}, ...files.map(writeFile))
}

export function writeCreateAttachment(parentId: string, files: readonly NewAttachment[]): string {
  return element(
    'm:CreateAttachment',
    {},
    element('m:ParentItemId', { Id: parentId }),
    element('m:Attachments', {}, ...files.map(writeFile)),
  )
}

export function writeGetAttachment(id: string): string {
  const shape = element('m:AttachmentShape', {}, textElement('t:IncludeMimeContent', true))
  return element('m:GetAttachment', {}, shape, element('m:AttachmentIds', {}, element('t:AttachmentId', { Id: id })))
}

export function writeDeleteAttachment(ids: readonly string[]): string {
  const list = ids.map(id => element('t:AttachmentId', { Id: id }))
  return element('m:DeleteAttachment', {}, element('m:AttachmentIds', {}, ...list))
}

/** The bytes of an answer to GetAttachment; undefined when it brings none. */
export function readAttachmentContent(message: XmlElement): Buffer | undefined {
  const [attachment] = childOf(message, 'Attachments')?.children ?? []
  const content = childOf(attachment, 'Content')
  if (content) return Buffer.from(content.text, 'base64')
  const mime = attachment?.children.map(child => childOf(child, 'MimeContent')).find(Boolean)
  if (mime) return Buffer.from(mime.text, 'base64')
  // An empty file comes without its content.
  return attachment?.name === 'FileAttachment' ? Buffer.alloc(0) : undefined
}

function writeFile({ name, type, isInline, content }: NewAttachment): string {
  return element(
    't:FileAttachment',
    {},
    textElement('t:Name', name),
    textElement('t:ContentType', type),
    textElement('t:IsInline', isInline),
    textElement('t:Content', Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString('base64')),
  )
}
