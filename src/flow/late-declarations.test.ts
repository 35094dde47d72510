import { expect, test } from 'vitest'
import { adapters } from './flow-world.ts'
import { type DeclarationLoaders, lateDeclarations } from './late-declarations.ts'

/** Adapters by these names, and which of them were loaded. */
function lateWorld() {
  const loaded: string[] = []
  const table = (...ids: readonly string[]) =>
    Object.fromEntries(
      ids.map(id => [
        id,
        async () => {
          loaded.push(id)
          return { id }
        },
      ]),
    )
  const loaders = {
    senders: table('imap', 'https'),
    receivers: table('smtp', 'http', 'odata'),
    steps: table('map', 'gather'),
  } as unknown as DeclarationLoaders
  return { declarations: lateDeclarations(loaders, { ...adapters, steps: [] }), loaded }
}

const documents: readonly (readonly [text: string, ids: readonly string[]])[] = [
  ['from:\n  imap: { host: a }\nto:\n  smtp:\n    host: b\n', ['imap', 'smtp']],
  ['{"from":{"imap":{"host":"a"}},"to":{"odata":{}}}', ['imap', 'odata']],
  ['from: {https: {path: /a}}\nsteps:\n- gather\n- "map": {}\n', ['https', 'map', 'gather']],
  ['from: { imap: {} }\nto: { odata: { url: https://s4.example/odata-v4, set: http-things } }', ['imap', 'odata']],
  ['', []],
]

test.each(documents)('of %j those are loaded that it names', async (text, ids) => {
  const { declarations, loaded } = lateWorld()
  const named = await declarations.namedIn(text)
  expect(loaded).toEqual(ids)
  // What a customer brings is there anyway.
  expect(named.senders).toEqual(expect.arrayContaining([...adapters.senders]))
})

test('all of them stand in the order in which the reference lists them, those of a customer last', async () => {
  const { senders, receivers } = await lateWorld().declarations.all()
  expect(senders.map(({ id }) => id)).toEqual(['imap', 'https', ...adapters.senders.map(({ id }) => id)])
  expect(receivers.map(({ id }) => id)).toEqual(['smtp', 'http', 'odata', ...adapters.receivers.map(({ id }) => id)])
})
