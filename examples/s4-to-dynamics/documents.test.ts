import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { s4Flows } from '../../src/cli/demo/s4-landscape.ts'
import { lateDeclarations } from '../../src/flow/late-declarations.ts'
import { loadFlow } from '../../src/flow/load-flow.ts'
import { builtIn } from '../../src/main.ts'

const files = readdirSync(import.meta.dirname).filter(name => name.endsWith('.flow.yaml'))

test.each(['dev', 'prod'])('every document is right for the stage %s', async stage => {
  const declarations = await lateDeclarations(builtIn).all()
  const names: string[] = []
  for (const name of files) {
    const result = await loadFlow({ file: join(import.meta.dirname, name), stage, ...declarations })
    if (!('flow' in result)) throw new Error(JSON.stringify(result.problems, undefined, 2))
    expect(result.warnings).toEqual([])
    names.push(result.flow.name)
  }
  expect(names.toSorted()).toEqual(s4Flows.toSorted())
})

test.each(files)('%s names no host, no entity set, no credential and no role of its own', name => {
  const lines = readFileSync(join(import.meta.dirname, name), 'utf8').split('\n')
  const named = lines.filter(
    line => /^\s*(url|set|auth|role): (?!["{]?\$\{params\.|$)/.test(line) || /https?:\/\//.test(line),
  )
  expect(named).toEqual([])
})
