import type { Json } from '../../kernel/json.ts'
import { refusals } from './graph-error.ts'
import type { StoredItem } from './mailbox.ts'
import { readQuery } from './query.ts'
import type { GraphReply, Visit } from './service.ts'
import type { ItemType } from './shapes.ts'
import { showItem } from './show.ts'

const listOptions = ['$select', '$expand', '$filter', '$top', '$skip', '$orderby', '$count']

/** The items of a folder (or of all folders) as pages. */
export function listItems(visit: Visit, type: ItemType, folder: string | undefined): GraphReply {
  const { mailbox, fields, manner, pageSize } = visit
  const query = readQuery(fields, listOptions)
  const all = [...mailbox.items.values()].filter(
    item => item.type === type && (folder === undefined || item.folder === folder) && (query.filter?.(item) ?? true),
  )
  const from = query.skip
  const size = Math.min(query.top ?? pageSize, pageSize)
  const page = all.slice(from, from + size)
  const hasMore = query.top === undefined && from + size < all.length
  return {
    status: 200,
    body: {
      value: page.map((item: StoredItem): Json => showItem(mailbox, item, query, manner)),
      ...(hasMore && { '@odata.nextLink': linkWith(visit, '$skip', String(from + size)) }),
    },
  }
}

/** A page of a delta round: begun by the query, or continued by a token. */
export function answerDelta(
  visit: Visit,
  type: ItemType,
  folder: string,
  options: { readonly allowed: readonly string[]; readonly window?: { readonly from: number; readonly to: number } },
): GraphReply {
  const { world, mailbox, fields, manner, pageSize, request } = visit
  if (request.method !== 'GET') throw refusals.notAllowed(request.method)
  const token = fields.get('$skiptoken') ?? fields.get('$deltatoken')
  const round =
    token === null
      ? world.rounds.begin({
          mailbox,
          type,
          folder,
          window: options.window,
          query: readQuery(fields, options.allowed),
          text: fields.toString(),
        })
      : world.rounds.go(token, mailbox)
  const { value, skip, delta } = world.rounds.page(round, pageSize, manner)
  const [path = ''] = request.target.split('?')
  const link = (name: string, at: string) => `${world.root()}${path}?${name}=${at}`
  return {
    status: 200,
    body: {
      value,
      ...(skip !== undefined && { '@odata.nextLink': link('$skiptoken', skip) }),
      ...(delta !== undefined && { '@odata.deltaLink': link('$deltatoken', delta) }),
    },
  }
}

export function linkWith({ world, request, fields }: Visit, name: string, value: string): string {
  const [path = ''] = request.target.split('?')
  const next = new URLSearchParams(fields)
  next.set(name, value)
  return `${world.root()}${path}?${next.toString().replaceAll('+', '%20').replaceAll('%24', '$')}`
}
