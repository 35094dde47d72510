import type { SideDriver } from '../drivers.ts'
import type { SyncRules } from '../plan/rules.ts'
import type { SyncStore } from '../sync/sync-store.ts'
import type { Mailbox } from './model.ts'
import { itemKinds } from './rules-input.ts'
import { scopeOf } from './scopes.ts'

const pageLinks = 500

export interface Rekeyed {
  readonly links: number
  /** Links whose new id was told; the others are found again by their marks in the next round. */
  readonly translated: number
}

/**
 * Takes the links of a mailbox over to another way into it (EWS to Graph): the same items, under other ids. Ids that the
 * new driver can tell are exchanged; the token of the old way is dropped, so that the next round lists the mailbox and
 * finds the rest by identity and mark. No item is created again. May be repeated.
 */
export async function rekeyMailbox(
  { mailbox, rules, store }: { readonly mailbox: Mailbox; readonly rules: SyncRules; readonly store: SyncStore },
  driver: SideDriver,
  signal: AbortSignal,
): Promise<Rekeyed> {
  let links = 0
  let translated = 0
  for (const kind of itemKinds) {
    const scope = scopeOf(mailbox, kind, rules, 0)
    const { tokens } = await store.readScope(scope)
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
      if (page.length < pageLinks) break
    }
    if (tokens.exchange !== undefined) {
      await store.write(scope, { state: { tokens: { exchange: undefined, crm: tokens.crm } } })
    }
  }
  return { links, translated }
}
