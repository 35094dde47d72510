import { expect, test } from 'vitest'
import type { LoadedFlow } from '../flow/document.ts'
import { reloadFlows } from './flow-reload.ts'
import type { ApiParts, LoadingEntry } from './parts.ts'

test('a flow that somebody stops while others are started is left stopped', async () => {
  const stopped = new Set<string>()
  const started: string[] = []
  const entries = ['first', 'second'].map((name): LoadingEntry => {
    const flow = { name, file: `/${name}.flow.yaml`, revision: 'new' } as LoadedFlow
    return { name, file: flow.file, problems: [], shouldRun: true, flow: () => flow }
  })
  const parts = {
    engine: {
      flows: () => [],
      async start({ name }: LoadedFlow) {
        started.push(name)
        stopped.add('second')
      },
    },
    catalog: { loadAll: async () => entries, shouldRun: async (name: string) => !stopped.has(name) },
  } as unknown as ApiParts
  const reloaded = await reloadFlows(parts, { isDryRun: false })
  expect(reloaded.map(({ name, outcome }) => [name, outcome])).toEqual([
    ['first', 'started'],
    ['second', 'left-stopped'],
  ])
  expect(started).toEqual(['first'])
})
