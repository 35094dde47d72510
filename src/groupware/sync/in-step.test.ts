import { expect, test } from 'vitest'
import { defineErrors, type HubError } from '../../kernel/error.ts'
import type { Scope, Side, SideDriver } from '../drivers.ts'
import type { ItemKind } from '../plan/items.ts'
import { InStep } from './in-step.ts'

const errors = defineErrors('TEST', {
  ODD: { side: 'sender', retry: 'soon', means: 'The answer is odd.', next: 'Nothing.' },
  BUSY: { side: 'sender', retry: 'soon', isThrottling: true, means: 'It is busy.', next: 'Nothing.' },
  REFUSED: { side: 'sender', retry: 'after-change', means: 'The account is refused.', next: 'Nothing.' },
})
const signal = new AbortController().signal
const pause = () => new Promise(resolve => setTimeout(resolve, 1))

class Calls {
  readonly #moments: string[][] = []
  readonly failures = new Map<string, HubError>()
  readonly drivers: { readonly exchange: SideDriver; readonly crm: SideDriver }
  #underWay = 0

  constructor(shares: Readonly<Record<Side, boolean>>) {
    this.drivers = { exchange: this.#driver('exchange', shares.exchange), crm: this.#driver('crm', shares.crm) }
  }

  /** What was under way at the same time stands in one line: `exchange read mail; exchange read task`. */
  get lines(): readonly string[] {
    return this.#moments.map(moment => moment.toSorted().join('; '))
  }

  #driver(side: Side, sharesRequests: boolean): SideDriver {
    const call = (name: string) => async (scope: Scope) => {
      const line = `${side} ${name} ${scope.kind}`
      if (this.#underWay === 0) this.#moments.push([])
      this.#moments.at(-1)?.push(line)
      this.#underWay += 1
      await pause()
      this.#underWay -= 1
      const failure = this.failures.get(line)
      if (failure) throw failure
    }
    const names = ['changes', 'keys', 'read', 'create', 'update'] as const
    const calls = Object.fromEntries(names.map(name => [name, call(name)]))
    return { side, sharesRequests, concerns: () => 'account', ...calls } as unknown as SideDriver
  }
}

type Step = readonly [side: Side, name: 'changes' | 'keys' | 'read' | 'create' | 'update']

/** Rounds that make these calls, each kind its own. */
async function run(calls: Calls, rounds: Partial<Record<ItemKind, readonly Step[]>>) {
  const kinds = Object.entries(rounds) as [ItemKind, readonly Step[]][]
  const step = new InStep(kinds.length)
  const drivers = step.driversOf(calls.drivers)
  const round = async ([kind, steps]: (typeof kinds)[number]) => {
    // Each has its own pace beside the calls.
    for (const [side, name] of steps) {
      await pause()
      const call = drivers[side][name] as (scope: Pick<Scope, 'kind'>, ...rest: unknown[]) => Promise<unknown>
      await call({ kind }, [], signal)
    }
  }
  const ended = await Promise.allSettled(kinds.map(each => round(each).finally(() => step.leave())))
  return { failure: step.failure, ended: ended.map(each => (each.status === 'rejected' ? each.reason : 'done')) }
}

test('a round that is behind catches up, and then all make their calls together', async () => {
  const calls = new Calls({ exchange: true, crm: true })
  await run(calls, {
    mail: [
      ['exchange', 'changes'],
      ['exchange', 'changes'],
      ['crm', 'changes'],
      ['crm', 'create'],
    ],
    contact: [
      ['exchange', 'changes'],
      ['crm', 'changes'],
      ['exchange', 'read'],
      ['crm', 'create'],
      ['exchange', 'update'],
      ['exchange', 'create'],
    ],
    appointment: [
      ['exchange', 'changes'],
      ['crm', 'changes'],
      ['crm', 'create'],
      ['exchange', 'create'],
    ],
  })
  expect(calls.lines).toEqual([
    'exchange changes appointment; exchange changes contact; exchange changes mail',
    'exchange changes mail',
    'crm changes appointment; crm changes contact; crm changes mail',
    'exchange read contact',
    'crm create appointment; crm create contact; crm create mail',
    'exchange update contact',
    'exchange create appointment; exchange create contact',
  ])
})

test('where requests cannot be shared one is made after the other, and so is a census', async () => {
  const calls = new Calls({ exchange: false, crm: true })
  const steps: readonly Step[] = [
    ['exchange', 'changes'],
    ['crm', 'changes'],
    ['crm', 'keys'],
  ]
  await run(calls, { mail: steps, task: steps })
  expect(calls.lines).toEqual([
    'exchange changes mail',
    'exchange changes task',
    'crm changes mail; crm changes task',
    'crm keys mail',
    'crm keys task',
  ])
})

test('one that fails leaves the others alone', async () => {
  const calls = new Calls({ exchange: false, crm: true })
  const odd = errors.ODD()
  calls.failures.set('exchange changes mail', odd)
  const steps: readonly Step[] = [
    ['exchange', 'changes'],
    ['crm', 'changes'],
  ]
  expect(await run(calls, { mail: steps, task: steps, contact: steps })).toEqual({
    failure: undefined,
    ended: [odd, 'done', 'done'],
  })
  expect(calls.lines.at(-1)).toBe('crm changes contact; crm changes task')
})

test('a server that is busy, and one that takes the account no more, are asked nothing else', async () => {
  for (const failure of [errors.BUSY(), errors.ODD({}, { retryAfterMs: 1000 }), errors.REFUSED()]) {
    const calls = new Calls({ exchange: false, crm: true })
    calls.failures.set('exchange changes task', failure)
    const steps: readonly Step[] = [
      ['exchange', 'changes'],
      ['crm', 'changes'],
    ]
    const ended = [failure, failure, failure]
    expect(await run(calls, { mail: steps, task: steps, contact: steps })).toEqual({ failure, ended })
    expect(calls.lines).toEqual(['exchange changes mail', 'exchange changes task'])
  }
})
