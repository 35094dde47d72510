import type { JsonObject } from '../../kernel/json.ts'
import { type C4CClient, equals } from '../../protocols/c4c/client.ts'
import type { Item } from '../plan/items.ts'
import { textAt } from './values.ts'

/** Addresses of one item that are looked for. */
const addressesMax = 10

/**
 * Whom a new activity is about: the first contact that one of its addresses belongs to, with its account. Where an address
 * belongs to several contacts nobody can say which is meant.
 */
export async function relate(
  client: C4CClient,
  items: readonly Item[],
  own: string,
  signal: AbortSignal,
): Promise<readonly JsonObject[]> {
  const lists = items.map(item =>
    addressesOf(item)
      .filter(address => address !== own)
      .slice(0, addressesMax),
  )
  const addresses = [...new Set(lists.flat())]
  const select = ['ObjectID', 'ContactID', 'AccountID', 'Email']
  const found = await client.find(
    'Contact',
    addresses.map(address => ({ filter: equals('Email', address), select, top: 2 })),
    signal,
  )
  const contacts = new Map(addresses.map((address, index) => [address, found[index] ?? []]))
  return lists.map(list => {
    const contact = list.map(address => contacts.get(address) ?? []).find(rows => rows.length === 1)?.[0]
    if (!contact) return {}
    const account = textAt(contact.values, 'AccountID')
    return {
      MainContactPartyID: textAt(contact.values, 'ContactID'),
      ...(account !== '' && { MainAccountPartyID: account }),
    }
  })
}

function addressesOf(item: Item): readonly string[] {
  if (item.kind === 'appointment') return item.attendees.map(({ address }) => address)
  if (item.kind !== 'mail') return []
  return [...(item.from ? [item.from] : []), ...item.to, ...item.cc].map(({ address }) => address)
}
