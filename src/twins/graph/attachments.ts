import { randomBytes } from 'node:crypto'
import type { z } from 'zod'
import type { JsonObject } from '../../kernel/json.ts'
import { MiB } from '../../kernel/size.ts'
import { refusals } from './graph-error.ts'
import type { StoredAttachment, StoredItem } from './mailbox.ts'
import type { GraphReply, Visit } from './service.ts'
import { fileShape } from './shapes.ts'

/** What Graph takes of an attachment inside JSON. */
const inlineBytesMax = 3 * MiB

/** Attachments of a message or an event. `rest` is what follows behind `attachments`. */
export function answerAttachments(visit: Visit, item: StoredItem, rest: readonly string[], area: string): GraphReply {
  const { mailbox, request, world } = visit
  const [id, below] = rest
  if (id === undefined) {
    if (request.method === 'GET')
      return { status: 200, body: { value: [...item.attachments.values()].map(each => showAttachment(each, false)) } }
    if (request.method !== 'POST') throw refusals.notAllowed(request.method)
    const parsed = fileShape.safeParse(request.body)
    if (!parsed.success) throw refusals.wrongValue(parsed.error.issues[0]?.message ?? '')
    const attachment = attach(item, parsed.data)
    mailbox.touch(item)
    world.subscriptions.notify(mailbox.address, area, 'updated', item.id)
    return { status: 201, body: showAttachment(attachment, true) }
  }
  const attachment = item.attachments.get(id)
  if (!attachment) throw refusals.noItem()
  if (request.method === 'GET') {
    if (below === '$value')
      return { status: 200, headers: { 'content-type': attachment.contentType }, bytes: attachment.bytes }
    return { status: 200, body: showAttachment(attachment, true) }
  }
  if (request.method !== 'DELETE') throw refusals.notAllowed(request.method)
  item.attachments.delete(id)
  mailbox.touch(item)
  return { status: 204 }
}

/** Puts a file to an item; throws 413 for one that is too large for JSON. */
export function attach(item: StoredItem, given: z.output<typeof fileShape>): StoredAttachment {
  const { name, contentType = 'application/octet-stream', contentBytes, isInline = false } = given
  const bytes = Buffer.from(contentBytes, 'base64')
  if (bytes.length > inlineBytesMax) throw refusals.tooLarge()
  const attachment = { id: `AAMkAT${randomBytes(18).toString('base64url')}=`, name, contentType, bytes, isInline }
  item.attachments.set(attachment.id, attachment)
  return attachment
}

export function showAttachment(
  { id, name, contentType, bytes, isInline, isItem }: StoredAttachment,
  isWhole: boolean,
): JsonObject {
  const facts = { id, name, size: bytes.length, isInline }
  if (isItem) return { '@odata.type': '#microsoft.graph.itemAttachment', ...facts, contentType: null }
  return {
    '@odata.type': '#microsoft.graph.fileAttachment',
    ...facts,
    contentType,
    ...(isWhole && { contentBytes: bytes.toString('base64') }),
  }
}
