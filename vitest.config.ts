import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

// Real sockets and servers on a shared machine: in CI a test may be late once. One that fails twice has failed.
const retry = process.env['CI'] ? 1 : 0

// Far from UTC, so that a moment which is read in the zone of the machine by mistake shows.
process.env['TZ'] = 'Pacific/Auckland'

// As src/steps/own-modules.ts offers it to modules beside flow documents.
const alias = {
  'isthmus/documents': fileURLToPath(new URL('src/mapping/documents.ts', import.meta.url)),
  'isthmus/mapping': fileURLToPath(new URL('src/mapping/define.ts', import.meta.url)),
}

const project = (name: string, include: string[], testTimeout: number) => ({
  resolve: { alias },
  test: { name, include, testTimeout, hookTimeout: testTimeout, retry, environment: 'node' as const },
})

export default defineConfig({
  test: {
    // Two cores are the smallest machine the tests run on; more workers only make sockets time out.
    maxWorkers: 2,
    projects: [
      project('unit', ['src/**/*.test.ts', 'console/src/**/*.test.ts', 'examples/**/*.test.ts'], 20_000),
      project('system', ['test/*.test.ts', 'test/system/**/*.test.ts'], 120_000),
      project('foreign', ['test/foreign/**/*.test.ts'], 240_000),
    ],
  },
})
