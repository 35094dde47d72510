import type { Registry } from 'prom-client'
import { type Clock, SECOND } from '../kernel/time.ts'
import { Counter, Gauge } from './meters.ts'
import type { WatchedServiceKey } from './service-key-findings.ts'

/** Meters of those who call the hub: refusals as they come, the ends of keys when Prometheus asks. */
export function addCallerMeters(registry: Registry, clock: Pick<Clock, 'now'>) {
  const refused = new Counter({
    name: 'isthmus_caller_refused_total',
    help: 'Calls of endpoints with a role that were refused, by reason.',
    labelNames: ['reason'],
    registers: [registry],
  })
  const rest = new Gauge({
    name: 'isthmus_service_key_rest_seconds',
    help: 'Time until a service key ends; below 0 it has. Keys without an end are left out.',
    labelNames: ['instance', 'key', 'name'],
    registers: [registry],
  })
  return {
    refused: (reason: string) => refused.inc({ reason }),
    readKeys(keys: readonly WatchedServiceKey[]): void {
      rest.reset()
      for (const { instance, id: key, name, expiresAt } of keys) {
        rest.set({ instance, key, name }, (expiresAt - clock.now()) / SECOND)
      }
    },
  }
}
