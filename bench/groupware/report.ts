import { loadavg } from 'node:os'
import type { HubReport, HubTask } from './hub.ts'
import type { Tally } from './tally.ts'

/** One line of figures for each step of a hub, and what was asked for. */
export function printHub(task: HubTask, { costs, openedMiB, storeBytes, logBytes, seen }: HubReport): void {
  const { mailboxes, items, isWatched } = task
  const all = mailboxes * items
  console.log(`${isWatched ? 'with notifications' : 'polled every 5 minutes'}; opened with ${whole(openedMiB)} MiB`)
  for (const { step, cost, connections } of costs) {
    const { exchange, crm, cpuMs, wallMs, peakMiB, restMiB } = cost
    console.log(`  ${step}: ${exchange.requests} requests to Exchange, ${crm.requests} to the CRM`)
    const perItem = (count: number) => (count / all).toFixed(3)
    const perMailbox = (count: number) => (count / mailboxes).toFixed(2)
    console.log(
      `    per mailbox ${perMailbox(exchange.requests)} + ${perMailbox(crm.requests)}, per item ${perItem(exchange.requests)} + ${perItem(crm.requests)}`,
    )
    console.log(
      `    CPU ${(cpuMs / 1000).toFixed(1)} s, ${(cpuMs / all).toFixed(3)} ms an item, ${((cpuMs * 1000) / (exchange.requests + crm.requests)).toFixed(0)} µs a request; ` +
        `wall ${(wallMs / 1000).toFixed(1)} s; memory ${whole(peakMiB)} MiB at most, ${whole(restMiB)} at rest; streams or subscriptions ${connections}`,
    )
    console.log(`    ${words(exchange, mailboxes)}`)
    console.log(`    ${words(crm, mailboxes)}`)
  }
  console.log(`  store ${(storeBytes / all).toFixed(0)} bytes an item, log ${(logBytes / all).toFixed(0)}; ${seen}`)
  console.log(
    `  load ${loadavg()
      .map(each => each.toFixed(1))
      .join(' ')}`,
  )
}

/** By mailbox, the most frequent first. */
function words({ by }: Tally, mailboxes: number): string {
  const sorted = Object.entries(by).toSorted(([, one], [, other]) => other - one)
  return sorted.map(([name, count]) => `${name} ${(count / mailboxes).toFixed(2)}`).join(', ')
}

function whole(value: number): string {
  return value.toFixed(0)
}
