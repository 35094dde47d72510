import { randomUUID } from 'node:crypto'
import type { Json, JsonObject } from '../../kernel/json.ts'
import { answerAttachments, attach } from './attachments.ts'
import { refusals } from './graph-error.ts'
import { answerDelta, listItems } from './lists.ts'
import type { Folder, StoredItem } from './mailbox.ts'
import { readQuery } from './query.ts'
import { type GraphReply, objectOf, type Visit } from './service.ts'
import { fileShape } from './shapes.ts'
import { showItem } from './show.ts'
import { changeItem, readBody, writeExtended } from './write-item.ts'

/** Mail folders and messages. */
export function answerMessages(visit: Visit): GraphReply {
  const { mailbox, rest } = visit
  const [area, name, inner, ...below] = rest
  if (area === 'messages') return answerMessage(visit, undefined, rest.slice(1))
  if (name === undefined) return listFolders(visit, undefined)
  const folder = mailbox.folder(name, 'message')
  if (inner === undefined) return { status: 200, body: showFolder(visit, folder) }
  if (inner === 'childFolders') return listFolders(visit, folder.id)
  if (inner !== 'messages') throw refusals.noResource(inner)
  return answerMessage(visit, folder.id, below)
}

function listFolders(visit: Visit, parent: string | undefined): GraphReply {
  const { mailbox, request, fields } = visit
  if (request.method === 'POST') {
    const { displayName } = objectOf(request.body)
    if (typeof displayName !== 'string' || displayName === '') throw refusals.wrongValue('DisplayName is missing.')
    return { status: 201, body: showFolder(visit, mailbox.addFolder(displayName, 'message', parent)) }
  }
  const wanted = /^displayName eq '((?:[^']|'')*)'$/.exec(fields.get('$filter') ?? '')?.[1]?.replaceAll("''", "'")
  const value = [...mailbox.folders.values()]
    .filter(each => each.holds === 'message' && each.parent === parent)
    .filter(each => wanted === undefined || each.displayName === wanted)
  return { status: 200, body: { value: value.map(each => showFolder(visit, each)) } }
}

function showFolder({ mailbox }: Visit, { id, displayName, parent }: Folder): JsonObject {
  const inside = [...mailbox.items.values()].filter(item => item.folder === id)
  return { id, displayName, parentFolderId: parent ?? mailbox.userId, totalItemCount: inside.length }
}

function answerMessage(visit: Visit, folder: string | undefined, rest: readonly string[]): GraphReply {
  const { mailbox, request, fields, world, manner } = visit
  const [id, below] = rest
  if (id === 'delta' && folder !== undefined) {
    return answerDelta(visit, 'message', folder, { allowed: ['$select', '$expand', '$filter', '$orderby', '$top'] })
  }
  if (id === undefined) {
    if (request.method === 'GET') return listItems(visit, 'message', folder)
    if (request.method !== 'POST') throw refusals.notAllowed(request.method)
    return create(visit, folder ?? mailbox.folder('drafts', 'message').id)
  }
  const item = mailbox.get(id, 'message')
  if (below === 'attachments') return answerAttachments(visit, item, rest.slice(2), 'messages')
  if (below === '$value') return { status: 200, headers: { 'content-type': 'text/plain' }, bytes: mimeOf(item) }
  if (below === 'move') {
    const { destinationId } = objectOf(request.body)
    mailbox.move(item, mailbox.folder(String(destinationId), 'message').id)
    return { status: 201, body: showItem(mailbox, item, readQuery(new URLSearchParams(), []), manner) }
  }
  if (below !== undefined) throw refusals.noResource(below)
  if (request.method === 'GET') {
    return { status: 200, body: showItem(mailbox, item, readQuery(fields, ['$select', '$expand']), manner) }
  }
  mailbox.refuseStale(item, request.headers['if-match'])
  if (request.method === 'DELETE') {
    const bin = mailbox.folder('deleteditems', 'message').id
    // What is deleted from the bin is gone for good.
    if (item.folder === bin) mailbox.remove(item)
    else mailbox.move(item, bin)
    world.subscriptions.notify(mailbox.address, 'messages', 'deleted', item.id)
    return { status: 204 }
  }
  if (request.method !== 'PATCH') throw refusals.notAllowed(request.method)
  const { values, extended } = readBody('message', request.body)
  const fixed = ['subject', 'body', 'toRecipients', 'ccRecipients', 'from', 'sender', 'internetMessageId'].find(
    name => name in values,
  )
  if (fixed !== undefined && item.values['isDraft'] !== true)
    throw refusals.wrongValue(`${fixed} can be changed only while the message is a draft.`)
  if ('attachments' in values) throw refusals.wrongValue('Attachments are changed by themselves.')
  changeItem(mailbox, item, values, extended)
  world.subscriptions.notify(mailbox.address, 'messages', 'updated', item.id)
  return { status: 200, body: showItem(mailbox, item, readQuery(new URLSearchParams(), []), manner) }
}

function create({ mailbox, request, world, manner }: Visit, folder: string): GraphReply {
  const { values, extended } = readBody('message', request.body)
  const { attachments = [], ...own } = values
  const item = mailbox.add('message', folder, { internetMessageId: `<${randomUUID()}@twin.contoso.com>`, ...own })
  for (const each of attachments as readonly Json[]) attach(item, fileShape.parse(each))
  writeExtended(item, extended)
  world.subscriptions.notify(mailbox.address, 'messages', 'created', item.id)
  return { status: 201, body: showItem(mailbox, item, readQuery(new URLSearchParams(), []), manner) }
}

/** The message as MIME, as far as a reader of headers and text needs it. */
function mimeOf({ values, createdAt }: StoredItem): Buffer {
  const address = (value: Json | undefined) =>
    String(((value as JsonObject | undefined)?.['emailAddress'] as JsonObject | undefined)?.['address'] ?? '')
  const body = values['body'] as JsonObject
  const lines = [
    `From: ${address(values['from'])}`,
    `To: ${((values['toRecipients'] ?? []) as readonly Json[]).map(address).join(', ')}`,
    `Subject: ${String(values['subject'])}`,
    `Message-ID: ${String(values['internetMessageId'])}`,
    `Date: ${new Date(createdAt).toUTCString()}`,
    'MIME-Version: 1.0',
    `Content-Type: text/${body['contentType'] === 'html' ? 'html' : 'plain'}; charset=utf-8`,
    'Content-Transfer-Encoding: base64',
    '',
    Buffer.from(String(body['content'])).toString('base64'),
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n`)
}
