import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { Journal, type JournalLine } from './journal.ts'

const line = (text: string): JournalLine => ({ about: 'mailbox', at: 0, what: 'state', text })

test('a line that cannot be written is told of, and stops nobody', () => {
  const folder = mkdtempSync(join(tmpdir(), 'journal-'))
  try {
    const file = join(folder, 'log.sqlite')
    const lost: number[] = []
    const journal = new Journal({ file, onLost: count => lost.push(count) })
    const other = new DatabaseSync(file)
    // Stands for a disk that is full.
    other.exec("create trigger full before insert on line begin select raise(abort, 'disk is full'); end")
    journal.append('ada@contoso.com', line('one'))
    journal.append('ada@contoso.com', line('two'))
    expect(journal.list({ mailbox: 'ada@contoso.com', limit: 10 })).toEqual([])
    expect(lost).toEqual([2])
    other.exec('drop trigger full')
    other.close()
    journal.append('ada@contoso.com', line('three'))
    expect(journal.list({ mailbox: 'ada@contoso.com', limit: 10 })).toMatchObject([{ text: 'three' }])
    journal.close()
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('of a mailbox the newest lines are kept, of the others all', () => {
  const journal = new Journal({ file: ':memory:' })
  journal.append('ben@contoso.com', line('ben'))
  for (let number = 0; number < 2_600; number++) journal.append('ada@contoso.com', line(String(number)))
  const lines = journal.list({ mailbox: 'ada@contoso.com', limit: 10_000 })
  expect(lines.length).toBeGreaterThanOrEqual(2_000)
  expect(lines.length).toBeLessThanOrEqual(2_100)
  expect(lines[0]).toMatchObject({ text: '2599' })
  expect(journal.list({ mailbox: 'ben@contoso.com', limit: 10 })).toHaveLength(1)
  journal.close()
})
