import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { backup, DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Item, ItemKind } from '../plan/items.ts'
import { titleOf } from './context.ts'
import { decideHeld } from './held-deletions.ts'
import { contact, edit, only, Pair, task, titles } from './pair-world.ts'
import { appointment, type Held } from './sides-world.ts'
import { openSyncStore } from './sqlite-sync-store.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-restored-'))
})
afterEach(() => rm(folder, { recursive: true }))

/** A pair whose books lie in a file. */
function pairOf(kind: ItemKind): Pair {
  const pair = new Pair(kind, undefined, join(folder, 'links.sqlite'))
  // As Cloud for Customer.
  pair.crm.holdsMark = kind === 'appointment' || kind === 'mail'
  return pair
}

/** Keeps the books as they are now; what it answers brings them back, whatever was done since. */
async function backUp(pair: Pair): Promise<() => Promise<void>> {
  const [file, kept] = [join(folder, 'links.sqlite'), join(folder, 'kept.sqlite')]
  const database = new DatabaseSync(file, { readOnly: true })
  await backup(database, kept)
  database.close()
  return async () => {
    await pair.store.close()
    for (const end of ['', '-wal', '-shm']) await rm(`${file}${end}`, { force: true })
    await copyFile(kept, file)
    pair.store = openSyncStore({ file })
    pair.told()
  }
}

const items: Readonly<Record<'appointment' | 'contact' | 'task', (title: string) => Item>> = {
  appointment: subject => appointment({ subject }),
  contact: surname => contact({ surname }),
  task: subject => task({ subject }),
}
const kinds = ['appointment', 'contact', 'task'] as const

describe.each(kinds)('%s: after the books were brought back from a backup', kind => {
  test('what was emptied and restored since is neither made once more nor taken for deleted', async () => {
    for (const emptied of ['mailbox', 'crm'] as const) {
      const pair = pairOf(kind)
      for (let count = 0; count < 30; count += 1) pair.mailbox.add(items[kind](`Item ${count}`))
      await pair.settle()
      const restore = await backUp(pair)
      for (const id of [...pair[emptied].held.keys()].slice(0, 20)) pair[emptied].drop(id)
      await pair.settle()
      await decideHeld(pair.store, pair.scope, 'restore', pair.around.now)
      await pair.settle()
      const before = [...pair.crm.held.keys(), ...pair.mailbox.held.keys()]
      await restore()
      await pair.settle()
      expect([...pair.crm.held.keys(), ...pair.mailbox.held.keys()], emptied).toEqual(before)
      expect((await pair.round()).held).toBe(0)
      await pair.store.close()
      await rm(join(folder, 'links.sqlite'))
    }
  })
})

test('an appointment that was cancelled in the CRM and taken up again since the backup stays, on both sides', async () => {
  const pair = pairOf('appointment')
  pair.mailbox.add(appointment())
  await pair.settle()
  const restore = await backUp(pair)
  const { id } = only(pair.crm.held)
  for (const isCancelled of [true, false]) {
    pair.crm.edit(id, edit({ isCancelled }))
    await pair.settle()
  }
  const again = only(pair.mailbox.held).id
  await restore()
  await pair.settle()
  expect(pair.told()).toEqual(['renamed exchange'])
  expect([only(pair.mailbox.held).id, only(pair.crm.held).id]).toEqual([again, id])
})

test('a copy that somebody made since the backup is one of its own, also where the books know neither', async () => {
  const pair = pairOf('appointment')
  await pair.settle()
  const restore = await backUp(pair)
  const { id } = pair.crm.add(appointment({ subject: 'of the CRM' }))
  await pair.settle()
  const original = only(pair.mailbox.held)
  const copy = pair.mailbox.add(edit({ subject: 'the copy' })(original.item))
  copy.mark = original.mark
  pair.crm.edit(id, edit({ location: 'Berlin' }))
  pair.mailbox.edit(original.id, edit({ reminderMinutes: 30 }))
  await restore()
  await pair.settle()
  expect([...pair.crm.held.values()].map(({ item, mark }) => [titleOf(item), mark])).toEqual([
    ['of the CRM', original.uid],
    ['the copy', copy.uid],
  ])
  expect(titles(pair.mailbox.held)).toEqual(['of the CRM', 'the copy'])
  expect(original.item).toMatchObject({ location: 'Berlin', reminderMinutes: 30 })
})

describe('one way: where the books are lost', () => {
  test.each([
    ['to-exchange', 'mailbox', 'crm'],
    ['to-crm', 'crm', 'mailbox'],
  ] as const)('%s: what people changed in the %s stands, unless the %s changed later', async (direction, to, from) => {
    const pair = pairOf('contact')
    pair.rule({ direction })
    pair[from].add(contact({ surname: 'Byron' }))
    pair[from].add(contact({ surname: 'Hopper' }))
    await pair.settle()
    const find = (held: ReadonlyMap<string, Held>, name: string): Held => {
      const found = [...held.values()].find(({ item }) => titleOf(item).includes(name))
      if (!found) throw new Error(`there is no ${name}`)
      return found
    }
    for (const name of ['Byron', 'Hopper']) {
      pair[to].edit(find(pair[to].held, name).id, edit({ jobTitle: 'Countess' }))
      await pair.settle()
    }
    // While no hub works.
    pair[from].edit(find(pair[from].held, 'Hopper').id, edit({ company: 'Navy' }))
    await pair.store.forget(pair.scope)
    await pair.settle()
    expect(find(pair[to].held, 'Byron').item).toMatchObject({ jobTitle: 'Countess' })
    expect(find(pair[to].held, 'Hopper').item).toMatchObject({ company: 'Navy' })
    pair[from].edit(find(pair[from].held, 'Byron').id, edit({ jobTitle: 'Analyst' }))
    await pair.settle()
    expect(find(pair[to].held, 'Byron').item).toMatchObject({ jobTitle: 'Analyst' })
  })
})
