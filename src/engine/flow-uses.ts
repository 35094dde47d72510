import { locationsOf } from '../flow/locations.ts'
import type { Engine } from './control.ts'

type Running = Pick<Engine, 'flows'>

/** Names of the running flows that go through each location. */
export function flowsByLocation(engine: Running): ReadonlyMap<string, readonly string[]> {
  const used = new Map<string, string[]>()
  for (const { flow } of engine.flows()) {
    for (const location of locationsOf(flow)) used.set(location, [...(used.get(location) ?? []), flow.name])
  }
  return used
}

/** Flows that run and let in only callers with this role. */
export function flowsAskingFor(engine: Running, role: string): readonly string[] {
  return engine.flows().flatMap(({ flow }) => {
    const { config } = flow.from
    const isAsking = typeof config === 'object' && config !== null && 'role' in config && config.role === role
    return isAsking ? [flow.name] : []
  })
}
