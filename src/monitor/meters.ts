import { createRequire } from 'node:module'

type Client = typeof import('prom-client')

// The parts one by one: the package as a whole brings OpenTelemetry, clusters and a push client along, eighty files that
// are of no use here but cost every start a twentieth of a second.
const require = createRequire(import.meta.url)
export const Registry: Client['Registry'] = require('prom-client/lib/registry')
export const Counter: Client['Counter'] = require('prom-client/lib/counter')
export const Gauge: Client['Gauge'] = require('prom-client/lib/gauge')
export const Histogram: Client['Histogram'] = require('prom-client/lib/histogram')

/** Meters of the process itself. They begin with the first call that wants to read them. */
export function collectProcessMeters(registry: InstanceType<Client['Registry']>, prefix: string): void {
  const { collectDefaultMetrics }: Client = require('prom-client')
  collectDefaultMetrics({ register: registry, prefix })
}
