import type { JsonObject } from '../../kernel/json.ts'
import { SECOND } from '../../kernel/time.ts'
import { type C4CClient, type C4CQuery, type C4CRow, equals } from '../../protocols/c4c/client.ts'
import type { Item } from '../plan/items.ts'
import { textAt } from './values.ts'

const relationLimits = {
  /** Addresses of one item that are looked for. */
  addresses: 10,
  /** Addresses that are looked for along with something else. */
  along: 100,
  /** What an address led to counts for so long: meetings lie in many mailboxes, customers write many mails. */
  freshMs: 30 * SECOND,
  kept: 10_000,
} as const

interface Known {
  readonly at: number
  /** The contact of the address, where it is one and no more. */
  readonly contact: JsonObject | undefined
}

/** Whom activities are about: contacts by their addresses, asked for as seldom as may be. */
export class ContactBook {
  readonly #client: C4CClient
  readonly #now: () => number
  readonly #known = new Map<string, Known>()

  constructor(client: C4CClient, now: () => number) {
    this.#client = client
    this.#now = now
  }

  /** Addresses of items that nobody has looked for lately, as far as they go along with another request. */
  missing(items: readonly Item[], own: string): readonly string[] {
    const addresses = new Set(items.flatMap(item => addressesOf(item, own)))
    return [...addresses].filter(address => !this.#isFresh(address)).slice(0, relationLimits.along)
  }

  queryOf(address: string): C4CQuery {
    return { filter: equals('Email', address), select: ['ObjectID', 'ContactID', 'AccountID', 'Email'], top: 2 }
  }

  /** What a query for an address has found. */
  take(address: string, rows: readonly C4CRow[]): void {
    this.#known.delete(address)
    // Where an address belongs to several contacts nobody can say which is meant.
    this.#known.set(address, { at: this.#now(), contact: rows.length === 1 ? rows[0]?.values : undefined })
    const [oldest] = this.#known.keys()
    if (this.#known.size > relationLimits.kept && oldest !== undefined) this.#known.delete(oldest)
  }

  /** For each item whom it is about: the first contact that one of its addresses belongs to, with its account. */
  async relate(items: readonly Item[], own: string, signal: AbortSignal): Promise<readonly JsonObject[]> {
    const lists = items.map(item => addressesOf(item, own))
    const missing = [...new Set(lists.flat())].filter(address => !this.#isFresh(address))
    const found = await this.#client.find(
      'Contact',
      missing.map(address => this.queryOf(address)),
      signal,
    )
    for (const [index, address] of missing.entries()) this.take(address, found[index] ?? [])
    return lists.map(list => {
      const contact = list.map(address => this.#known.get(address)?.contact).find(each => each !== undefined)
      if (!contact) return {}
      const account = textAt(contact, 'AccountID')
      return {
        MainContactPartyID: textAt(contact, 'ContactID'),
        ...(account !== '' && { MainAccountPartyID: account }),
      }
    })
  }

  #isFresh(address: string): boolean {
    const known = this.#known.get(address)
    return known !== undefined && this.#now() - known.at < relationLimits.freshMs
  }
}

function addressesOf(item: Item, own: string): readonly string[] {
  const all =
    item.kind === 'appointment'
      ? [...(item.organizer ? [item.organizer] : []), ...item.attendees].map(({ address }) => address)
      : item.kind === 'mail'
        ? [...(item.from ? [item.from] : []), ...item.to, ...item.cc].map(({ address }) => address)
        : []
  return all.filter(address => address !== own).slice(0, relationLimits.addresses)
}
