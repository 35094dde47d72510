import type { LoadedFlow } from '../flow/document.ts'
import type { Limits } from '../kernel/limit.ts'
import type { Message } from '../kernel/message.ts'
import type { Claimed, Store } from '../store/port.ts'

/** Area of records that say, by order key, how far a flow has come. */
const area = 'newest-delivered'

export interface NewestDelivered {
  /** Words for a message that is older than the last delivered one of its order key; undefined when it may go. */
  overtaken(message: Message): Promise<string | undefined>
  /**
   * Writes down that the message asked for last is the newest now. To be asked for just before its end is: what is asked
   * for together commits together, so no older one comes in between.
   */
  remember(): Promise<void>
}

export interface NewestOptions {
  readonly claimed: Claimed
  readonly flow: LoadedFlow
  readonly store: Pick<Store, 'read' | 'write'>
  readonly limits: Limits
}

/**
 * Keeps what is older from overwriting what is newer (`delivery.only-newer`). Deliveries of one order key run one after
 * the other, so what is read here cannot change before the attempt ends. Undefined where the flow does not ask for it.
 */
export function newestDelivered({ claimed, flow, store, limits }: NewestOptions): NewestDelivered | undefined {
  const { onlyNewer } = flow.delivery
  const { orderKey } = claimed
  if (!onlyNewer || orderKey === undefined || claimed.isProbe) return undefined
  const id = `${flow.name}/${orderKey}`

  /** Its own value and the last delivered one; read once, since nothing changes them while this attempt runs. */
  async function readRanks(message: Message) {
    const scope = { message, params: flow.params, flow: { name: flow.name, stage: flow.stage }, limits }
    const [value, last] = await Promise.all([onlyNewer?.evaluate(scope), store.read(area, id)])
    const own = typeof value === 'string' || typeof value === 'number' ? String(value).trim() : ''
    return { own, last: typeof last?.value === 'string' ? last.value : undefined }
  }
  let ranks: Awaited<ReturnType<typeof readRanks>> | undefined

  return {
    async overtaken(message) {
      ranks = await readRanks(message)
      const { own, last } = ranks
      if (own === '' || last === undefined || compareRanks(own, last) >= 0) return undefined
      return `superseded: ${last} of ${orderKey} was delivered before, and this one is ${own}`
    },
    async remember() {
      if (!ranks || ranks.own === '') return
      const { own, last } = ranks
      if (last === undefined || compareRanks(own, last) > 0) await store.write(area, id, own)
    },
  }
}

/** Numbers by their value, however many leading zeros they have; anything else letter by letter. */
export function compareRanks(one: string, other: string): number {
  if (!/^\d+$/.test(one) || !/^\d+$/.test(other)) return one < other ? -1 : one > other ? 1 : 0
  const [left, right] = [one.replace(/^0+/, ''), other.replace(/^0+/, '')]
  if (left.length !== right.length) return left.length - right.length
  return left < right ? -1 : left > right ? 1 : 0
}
