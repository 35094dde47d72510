import { asHubError, type HubError } from '../../kernel/error.ts'
import type { Concern, Scope, ScopeCheck, SideDriver } from '../drivers.ts'
import type { SyncRules } from '../plan/rules.ts'
import { scheduleLimits } from '../schedule/limits.ts'
import type { Cause, Mailbox } from './model.ts'
import { itemKinds } from './rules-input.ts'
import { scopeOf } from './scopes.ts'

/** One step of a test of access, and how it went, in words. */
export interface TestStep {
  readonly step: string
  readonly ok: boolean
  readonly detail: string
  readonly cause?: Cause | undefined
}

export interface AccessTest {
  readonly mailbox: string
  readonly ok: boolean
  readonly steps: readonly TestStep[]
  /** The account behind all mailboxes is refused: to ask once more for another mailbox would bring the same words. */
  readonly isAccountRefused?: boolean
  /** What was refused may as well be this mailbox alone. */
  readonly isPerhapsOwn?: boolean
  /** The servers ask the account to come back after so long. */
  readonly busyMs?: number | undefined
}

export interface Drivers {
  readonly exchange: SideDriver
  readonly crm: SideDriver
}

const sideWords = { exchange: 'the mailbox', crm: 'the CRM' } as const

/**
 * Walks the way to one mailbox and to its employee in the CRM: opens both sides and reads the first page of each kind
 * that is synced. Writes nothing. The first step that fails names its cause and what to do; the other side is tried all
 * the same, so that two mistakes are told at once.
 */
export async function testAccess(
  open: () => Promise<Drivers>,
  { mailbox, rules, now, signal }: { mailbox: Mailbox; rules: SyncRules; now: number; signal: AbortSignal },
): Promise<AccessTest> {
  const steps: TestStep[] = []
  const refused = new Set<Concern>()
  let busyMs: number | undefined
  const drivers = await attempt(steps, 'settings', 'the settings of the organization', open, () => 'in order')
  for (const side of ['exchange', 'crm'] as const) {
    const driver = drivers?.[side]
    if (!driver) continue
    const synced = itemKinds.filter(kind => rules.kinds[kind].direction !== 'off' && driver.abilities(kind).holds)
    const scopes = synced.map(kind => scopeOf(mailbox, kind, rules, now))
    // A driver that can tell of all kinds together needs fewer requests for it.
    const checks = await driver.check?.(scopes, signal)
    for (const [index, scope] of scopes.entries()) {
      const page = await attempt(
        steps,
        `${side} ${scope.kind}`,
        sideWords[side],
        async () => (checks ? resultOf(checks[index]) : told(await firstPage(driver, scope, signal))),
        words => words,
        error => {
          const concern = driver.concerns(error)
          if (concern !== 'account' && concern !== 'either') return
          if (error.retry === 'after-change') refused.add(concern)
          if (error.isThrottling || error.retryAfterMs !== undefined)
            busyMs = error.retryAfterMs ?? scheduleLimits.accountFirstMs
        },
      )
      // Further kinds would only repeat the words.
      if (page === undefined) break
    }
  }
  const isAccountRefused = refused.size > 0
  const isPerhapsOwn = !refused.has('account')
  return { mailbox: mailbox.address, ok: steps.every(({ ok }) => ok), steps, isAccountRefused, isPerhapsOwn, busyMs }
}

function firstPage(driver: SideDriver, scope: Scope, signal: AbortSignal) {
  return driver.changes(scope, undefined, signal)
}

function told(page: Awaited<ReturnType<SideDriver['changes']>>): string {
  if (page === 'token-lost') return 'reached'
  return `reached; ${page.changes.length}${page.hasMore ? ' or more' : ''} items`
}

function resultOf(check: ScopeCheck | undefined): string {
  if (check && 'error' in check) throw check.error
  return check?.itemCount === undefined ? 'reached' : `reached; ${check.itemCount} items`
}

async function attempt<T>(
  steps: TestStep[],
  step: string,
  what: string,
  work: () => Promise<T>,
  detail: (result: T) => string,
  failed: (error: HubError) => void = () => {},
): Promise<T | undefined> {
  try {
    const result = await work()
    steps.push({ step, ok: true, detail: detail(result) })
    return result
  } catch (thrown) {
    const error = asHubError(thrown)
    failed(error)
    const { code, side, message, next } = error
    steps.push({ step, ok: false, detail: `${what}: ${message}`, cause: { code, side, message, next } })
    return undefined
  }
}

/** What of a failed test is kept with the mailbox. */
export function causeOfTest(test: AccessTest): Cause | undefined {
  return test.steps.find(({ ok }) => !ok)?.cause
}
