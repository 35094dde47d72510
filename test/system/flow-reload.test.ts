import { rmSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FlowHub } from './flow-hub.ts'

let it: FlowHub

beforeEach(() => {
  it = new FlowHub()
})
afterEach(() => it.close())

/** Answers each question with what this expression gives. */
const answering = (name: string, map: string) => `
from: { https: { path: /${name}, answer: result, within: 20s } }
steps: [{ map: ${map} }]
to: []
`
const says = (text: string) => `{ set: { body: ${text} } }`

async function ask(name: string): Promise<string> {
  const answer = await fetch(`${it.url}/${name}`, { method: 'POST', body: '{}' })
  return answer.ok ? (await answer.text()).replaceAll('"', '') : String(answer.status)
}

interface Reloaded {
  readonly flows: readonly { readonly name: string; readonly outcome: string; readonly error?: { code: string } }[]
}

async function reload(dryRun = false): Promise<unknown> {
  const { adminUrl, adminToken } = it.hub
  const answer = await fetch(`${adminUrl}/api/flows/reload`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ dryRun }),
  })
  const body = (await answer.json()) as Reloaded & { readonly code: string }
  return answer.ok ? body.flows.map(({ name, outcome, error }) => [name, error?.code ?? outcome]) : body.code
}

/** Takes a document away, as a new version of a folder does. */
function remove(name: string): void {
  const at = it.flowFiles.findIndex(file => file.endsWith(`/${name}.yaml`))
  rmSync(it.flowFiles.splice(at, 1)[0] ?? '')
}

test('documents that come, change and go count at once, and whoever is the same is not touched', async () => {
  it.flow('same', answering('same', says('same')))
  it.flow('other', answering('other', says('old')))
  it.flow('mapped', answering('mapped', '{ module: ./map.js, json: true }'))
  it.flow('old-name', answering('named', says('old name')))
  it.flow('halted', answering('halted', says('halted')))
  it.flow('faulty', answering('faulty', says('before')))
  it.write('flows/map.js', 'export default () => "one"')
  await it.start()
  await it.hub.engine.stop('halted')
  await it.hub.catalog.remember('halted', false)
  const startedAt = it.hub.engine.flows().find(({ flow }) => flow.name === 'same')?.startedAt
  expect(await reload()).toEqual([
    ['faulty', 'unchanged'],
    ['halted', 'left-stopped'],
    ['mapped', 'unchanged'],
    ['old-name', 'unchanged'],
    ['other', 'unchanged'],
    ['same', 'unchanged'],
  ])

  it.write('flows/other.yaml', `flow: other\n${answering('other', says('new'))}`)
  it.write('flows/map.js', 'export default () => "two"')
  it.write('flows/faulty.yaml', `flow: faulty\n${answering('faulty', '{ sat: 1 }')}`)
  remove('old-name')
  it.flow('new-name', answering('named', says('new name')))
  const changes = [
    ['faulty', 'CATALOG_DOES_NOT_LINT'],
    ['halted', 'left-stopped'],
    ['mapped', 'restarted'],
    ['new-name', 'started'],
    ['old-name', 'stopped'],
    ['other', 'restarted'],
    ['same', 'unchanged'],
  ]
  expect(await reload(true)).toEqual(changes)
  expect(await Promise.all(['other', 'mapped', 'named'].map(ask))).toEqual(['old', 'one', 'old name'])
  expect((await it.hub.catalog.list()).map(({ name }) => name)).not.toContain('new-name')

  expect(await reload()).toEqual(changes)
  expect(await Promise.all(['other', 'mapped', 'named', 'faulty', 'same', 'halted'].map(ask))).toEqual([
    'new',
    'two',
    'new name',
    'before',
    'same',
    '404',
  ])
  expect(it.hub.engine.flows().find(({ flow }) => flow.name === 'same')?.startedAt).toBe(startedAt)
  const again = changes.filter(([name]) => name !== 'old-name')
  expect(await reload()).toEqual(
    again.map(([name, outcome]) => [name, outcome?.endsWith('started') ? 'unchanged' : outcome]),
  )
})

test('a document that tells no name any more has a mistake; its flow runs on', async () => {
  it.flow('same', answering('same', says('same')))
  it.flow('torn', answering('torn', says('before')))
  await it.start()
  // Half written, or in the midst of a merge.
  for (const text of ['', '<<<<<<< HEAD\n']) {
    it.write('flows/torn.yaml', text)
    expect(await reload()).toEqual([
      ['same', 'unchanged'],
      ['torn', 'CATALOG_DOES_NOT_LINT'],
    ])
    expect(await ask('torn')).toBe('before')
  }
})

test('of a flow that runs on as it was nobody says that it does not run', async () => {
  it.flow('mapped', answering('mapped', '{ module: ./map.js, json: true }'))
  it.write('flows/map.js', 'export default () => "one"')
  await it.start()
  it.write('flows/map.js', 'export default 1')
  expect(await reload()).toEqual([['mapped', 'MAP_MODULE_BROKEN']])
  expect(await ask('mapped')).toBe('one')
  expect(it.hub.failedFlows).toEqual([])
  it.write('flows/map.js', 'export default () => "one"')
  expect(await reload()).toEqual([['mapped', 'unchanged']])
})

test('a flow that could not be started and that somebody stops is missed by nobody', async () => {
  it.flow('mapped', answering('mapped', '{ module: ./map.js, json: true }'))
  it.write('flows/map.js', 'export default 1')
  await expect(it.start()).rejects.toMatchObject({ code: 'MAP_MODULE_BROKEN' })
  const { adminUrl, adminToken, failedFlows } = it.hub
  expect(failedFlows).toHaveLength(1)
  await fetch(`${adminUrl}/api/flows/mapped/stop`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminToken}` },
  })
  expect(failedFlows).toEqual([])
})

test('what was set aside is delivered by the corrected document', async () => {
  const noting = (field: string) =>
    `from: { https: { path: /notes } }\nsteps: [{ map: { set: { body: "\${message.body.${field}}" } } }]\nto: []\n`
  it.flow('notes', noting('note'))
  await it.start()
  await fetch(`${it.url}/notes`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"text":"a"}',
  })
  const [held] = await it.ended(1, 'set-aside')
  it.write('flows/notes.yaml', `flow: notes\n${noting('text')}`)
  expect(await reload()).toEqual([['notes', 'restarted']])
  await it.hub.engine.replay(held?.id ?? '', 'anna')
  await it.ended(1)
})

test('no document at all is more likely a folder that is not there: nothing is stopped', async () => {
  it.flow('same', answering('same', says('same')))
  await it.start()
  const files = it.flowFiles.splice(0)
  expect(await reload()).toBe('CATALOG_FOLDER_EMPTY')
  expect(await ask('same')).toBe('same')
  it.flowFiles.push(...files)
  expect(await reload()).toEqual([['same', 'unchanged']])
})
