import type { Clock } from '../../kernel/time.ts'
import type { Scope, SideDriver } from '../drivers.ts'
import type { SyncRules } from '../plan/rules.ts'
import type { ScopeState, SyncStore } from '../sync/sync-store.ts'
import type { Journal } from './journal.ts'
import type { Mailbox } from './model.ts'
import { itemKinds } from './rules-input.ts'
import { scopeOf } from './scopes.ts'

const pageLinks = 500

interface Carried {
  readonly links: number
  /** Links whose new id was told; the others are found again by their marks in the next round. */
  readonly translated: number
}

/**
 * Takes the links of a mailbox over to another way into it (EWS to Graph) before anything else is done by that way: the
 * same items, under other ids. Ids that the new driver can tell are exchanged; the token of the old way is dropped, so
 * that the next round lists the mailbox and finds the rest by identity and mark. No item is created again. Cut off
 * anywhere, it is done again. Throws what the driver throws.
 */
export async function carryLinksOver(
  parts: {
    readonly mailbox: Mailbox
    readonly rules: SyncRules
    readonly store: SyncStore
    readonly journal: Pick<Journal, 'append'>
    readonly clock: Clock
  },
  driver: SideDriver,
  signal: AbortSignal,
): Promise<Carried> {
  const { mailbox, rules, store, journal, clock } = parts
  let [links, translated] = [0, 0]
  for (const kind of itemKinds) {
    const scope = scopeOf(mailbox, kind, rules, clock.now())
    const state = await store.readScope(scope)
    if (!isOtherSpace(state, driver)) continue
    const carried = await carryScope(store, scope, driver, signal)
    links += carried.links
    translated += carried.translated
    const tokens = { exchange: undefined, crm: state.tokens.crm }
    // The next round lists the mailbox, which says all that these were to say.
    const dropUnseen = await store.unseen(scope)
    await store.write(scope, { dropUnseen, state: { tokens, idSpace: driver.idSpace } })
  }
  if (links > 0) {
    const text = `Its access is another one now: ${translated} of ${links} links have their new ids, the others are found by their marks.`
    journal.append(mailbox.address, { about: 'mailbox', at: clock.now(), what: 'state', text })
  }
  return { links, translated }
}

function isOtherSpace({ idSpace }: ScopeState, driver: SideDriver): boolean {
  return idSpace !== undefined && driver.idSpace !== undefined && idSpace !== driver.idSpace
}

async function carryScope(store: SyncStore, scope: Scope, driver: SideDriver, signal: AbortSignal): Promise<Carried> {
  let [links, translated] = [0, 0]
  for (let after: string | undefined; ; ) {
    const page = await store.listPairs(scope, after, pageLinks)
    const pairs = await store.findLinks(
      scope,
      'exchange',
      page.map(pair => pair.exchange),
    )
    const ids = pairs.map(link => link.exchange.id)
    const told = (await driver.translateIds?.(scope, ids, signal)) ?? ids.map(() => undefined)
    const putLinks = pairs.flatMap((link, index) => {
      const id = told[index]
      // The new way has versions of its own: which of them is the common state is not known.
      return id === undefined || id === link.exchange.id
        ? []
        : [{ ...link, exchange: { ...link.exchange, id, version: '' }, isDirty: true }]
    })
    if (putLinks.length > 0) await store.write(scope, { putLinks })
    links += page.length
    translated += putLinks.length
    after = page.at(-1)?.key
    if (page.length < pageLinks) return { links, translated }
  }
}
