import type { Registry } from 'prom-client'
import { Counter, Gauge } from './meters.ts'
import type { WatchedOrganization } from './watched.ts'

/** Meters of the groupware sync; they are read when Prometheus asks. */
export function addGroupwareMeters(
  registry: Registry,
  organizations: () => readonly WatchedOrganization[],
): () => void {
  const gauge = <const Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Gauge({ name: `isthmus_groupware_${name}`, help, labelNames, registers: [registry] })
  const counter = <const Label extends string>(name: string, help: string, labelNames: readonly Label[]) =>
    new Counter({ name: `isthmus_groupware_${name}`, help, labelNames, registers: [registry] })
  const mailboxes = gauge('mailboxes', 'Mailboxes by state.', ['organization', 'state'])
  const held = gauge('held_deletions', 'Deletions that wait for the word of a person.', ['organization'])
  const troubled = gauge('account_troubled', '1 while the account of an organization is in trouble.', ['organization'])
  const items = counter('items_total', 'Items written, to the crm or to the mailbox.', ['organization', 'to'])
  const conflicts = counter('conflicts_total', 'Items that both sides had changed.', ['organization'])
  const refused = counter('refused_total', 'Items that a side would not take.', ['organization'])

  return () => {
    for (const each of [mailboxes, held, troubled, items, conflicts, refused]) each.reset()
    for (const { name: organization, counts, account, totals } of organizations()) {
      for (const [state, count] of Object.entries(counts)) mailboxes.set({ organization, state }, count)
      held.set({ organization }, totals.held)
      troubled.set({ organization }, account.trouble ? 1 : 0)
      items.inc({ organization, to: 'crm' }, totals.itemsIn)
      items.inc({ organization, to: 'mailbox' }, totals.itemsOut)
      conflicts.inc({ organization }, totals.conflicts)
      refused.inc({ organization }, totals.refused)
    }
  }
}
