import { loadavg } from 'node:os'
import type { HubReport, HubTask } from './hub.ts'
import { leastOfFirst, leastOfIdle } from './least.ts'
import type { Cost } from './measure.ts'
import type { Tally } from './tally.ts'

export interface Step {
  readonly step: string
  readonly cost: Cost
  /** Streams (EWS) or subscriptions (Graph) that stand open at its end. */
  readonly connections: number
}

/** Figures of one step of a hub, and what was asked for. */
export function printStep(task: HubTask, { step, cost, connections }: Step): void {
  const { mailboxes, items } = task
  const { exchange, crm, cpuMs, wallMs, peakMiB, restMiB, heapMiB } = cost
  // Without items the mailboxes themselves are what there is.
  const all = mailboxes * Math.max(1, items)
  const inBatches = Object.entries(exchange.by).filter(([name]) => name.startsWith('batch '))
  const batched = inBatches.reduce((sum, [, count]) => sum + count, 0)
  const perItem = (count: number) => (count / all).toFixed(3)
  const perMailbox = (count: number) => (count / mailboxes).toFixed(2)
  const requests = exchange.requests + crm.requests
  console.log(
    `  ${step}: ${exchange.requests} requests to Exchange${batched > 0 ? ` (with ${batched} in batches)` : ''}, ${crm.requests} to the CRM`,
  )
  console.log(
    `    per mailbox ${perMailbox(exchange.requests)} + ${perMailbox(crm.requests)}, per item ${perItem(exchange.requests)} + ${perItem(crm.requests)} = ${perItem(requests)}`,
  )
  console.log(
    `    CPU ${(cpuMs / 1000).toFixed(1)} s, ${(cpuMs / all).toFixed(3)} ms an item, ${((cpuMs * 1000) / requests).toFixed(0)} µs a request; wall ${(wallMs / 1000).toFixed(1)} s`,
  )
  console.log(
    `    memory ${whole(peakMiB)} MiB at most, ${whole(restMiB)} at rest, ${whole(heapMiB)} in use; ${connections} streams or subscriptions; ${load()}`,
  )
  console.log(`    ${words(exchange, mailboxes)}`)
  console.log(`    ${words(crm, mailboxes)}`)
  if (step === 'first' && items > 0) {
    const least = leastOfFirst(task)
    const all = `${least.exchange} + ${least.crm} per mailbox, ${((least.exchange + least.crm) / items).toFixed(3)} per item`
    console.log(`    least: ${all}. ${least.why.join('. ')}.`)
  }
  if (step.startsWith('idle')) console.log(`    least: ${leastOfIdle(task).join('; ')}.`)
}

export function printHub({ mailboxes, items }: HubTask, { storeBytes, logBytes, seen }: HubReport): void {
  const all = mailboxes * Math.max(1, items)
  console.log(
    `  store ${(storeBytes / all).toFixed(0)} bytes an item (${whole(storeBytes / 2 ** 20)} MiB), log ${(logBytes / all).toFixed(0)}; ${seen}`,
  )
}

export function load(): string {
  const averages = loadavg().map(each => each.toFixed(1))
  return `load average ${averages.join(' ')}`
}

/** By mailbox, the most frequent first. */
function words({ by }: Tally, mailboxes: number): string {
  const sorted = Object.entries(by).toSorted(([, one], [, other]) => other - one)
  return sorted.map(([name, count]) => `${name} ${(count / mailboxes).toFixed(2)}`).join(', ')
}

function whole(value: number): string {
  return value.toFixed(0)
}
