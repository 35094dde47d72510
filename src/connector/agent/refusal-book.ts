import type { JsonObject } from '../../kernel/json.ts'
import { type Clock, MINUTE } from '../../kernel/time.ts'
import type { AuditLog } from './audit-log.ts'

export const refusalLimits = {
  /** Refusals of one code that are audited one by one within a minute; the others are counted in one line. */
  linesPerMinute: 100,
} as const

/** Audits refusals, so that a hub that asks in a loop cannot wash the audit log away. */
export function refusalBook(audit: AuditLog, clock: Clock) {
  const noted = new Map<string, number>()
  let endMinute: (() => void) | undefined

  function sum(): void {
    endMinute?.()
    endMinute = undefined
    for (const [code, times] of noted) {
      const more = times - refusalLimits.linesPerMinute
      if (more > 0) audit.write('stream.refused-more', { code, times: more })
    }
    noted.clear()
  }

  return {
    note(code: string, detail: JsonObject): void {
      const times = (noted.get(code) ?? 0) + 1
      noted.set(code, times)
      endMinute ??= clock.after(MINUTE, sum)
      if (times <= refusalLimits.linesPerMinute) audit.write('stream.refused', { code, ...detail })
    },
    close: sum,
  }
}
