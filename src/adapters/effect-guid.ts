import { hash } from 'node:crypto'
import type { Effect } from '../flow/adapter.ts'

/** 32 hexadecimal letters: the same over all attempts of an effect and after a crash, so the other side takes it once. */
export function effectGuid(flow: string, { key, scope }: Effect): string {
  return hash('sha256', `${scope.flow.stage} ${flow} ${key}`).slice(0, 32)
}
