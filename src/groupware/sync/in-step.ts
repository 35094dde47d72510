import { HubError } from '../../kernel/error.ts'
import type { SideDriver } from '../drivers.ts'
import type { RoundContext } from './context.ts'

type Drivers = RoundContext['drivers']
type CallName = Exclude<keyof SideDriver, 'side' | 'idSpace' | 'sharesRequests'>

/** The calls of a round in the order in which it makes them, the mailbox before the CRM. */
const callOrder: readonly CallName[] = [
  'changes',
  'keys',
  'read',
  'findByMark',
  'findByIdentity',
  'findAlike',
  'update',
  'create',
  'findMoved',
  'sweep',
  'remove',
]
/** A census goes page by page: that of one kind after that of the other. */
const neverShared: ReadonlySet<string> = new Set(['keys'] satisfies CallName[])

interface Waiting {
  readonly rank: number
  readonly isShared: boolean
  readonly begin: () => void
}

/**
 * Rounds of the kinds of a mailbox that run beside each other. A call waits until each round makes one; then those begin
 * that a round makes earliest, so that whoever is behind catches up. Calls of one sort go together where the driver lets
 * them share requests, else one after the other: a mailbox never has more requests under way than one round has.
 */
export class InStep {
  #roundCount: number
  #failure: HubError | undefined
  readonly #waiting = new Set<Waiting>()

  constructor(roundCount: number) {
    this.#roundCount = roundCount
  }

  /** Drivers for these rounds and for nobody else. */
  driversOf({ exchange, crm }: Drivers): Drivers {
    return { exchange: this.#inStep(exchange), crm: this.#inStep(crm) }
  }

  /** What ended all rounds, if anything did. */
  get failure(): HubError | undefined {
    return this.#failure
  }

  /** One round has ended; the others go on without it. */
  leave(): void {
    this.#roundCount -= 1
    this.#goOn()
  }

  #inStep(driver: SideDriver): SideDriver {
    return new Proxy(driver, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name)
        if (typeof value !== 'function') return value
        const at = (callOrder as readonly unknown[]).indexOf(name)
        if (at < 0) return value.bind(target)
        const rank = 2 * at + (target.side === 'crm' ? 1 : 0)
        const isShared = target.sharesRequests === true && !neverShared.has(String(name))
        return async (...given: readonly unknown[]) => {
          await this.#turn({ rank, isShared })
          try {
            return await value.apply(target, given)
          } catch (thrown) {
            if (thrown instanceof HubError && isForAll(target, thrown)) this.#failure ??= thrown
            throw thrown
          }
        }
      },
    })
  }

  async #turn(call: Omit<Waiting, 'begin'>): Promise<void> {
    await new Promise<void>(begin => {
      this.#waiting.add({ ...call, begin })
      this.#goOn()
    })
    if (this.#failure) throw this.#failure
  }

  #goOn(): void {
    if (this.#waiting.size === 0 || this.#waiting.size < this.#roundCount) return
    const rank = Math.min(...[...this.#waiting].map(call => call.rank))
    for (const call of this.#waiting) {
      if (call.rank !== rank) continue
      this.#waiting.delete(call)
      call.begin()
      if (!call.isShared) return
    }
  }
}

/**
 * A server that wants to be left alone, that is away or takes the account no more is asked nothing else. What it could not
 * answer to one kind may be of that kind: the others go on.
 */
function isForAll(driver: SideDriver, error: HubError): boolean {
  if (error.isThrottling || error.retryAfterMs !== undefined) return true
  return driver.concerns(error) === 'account' && (error.retry === 'after-change' || error.code.startsWith('NET_'))
}
