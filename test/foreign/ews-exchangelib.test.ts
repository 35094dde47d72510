import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Scope } from '../../src/groupware/drivers.ts'
import { contact, mail, series, task } from '../../src/groupware/ews/items-world.ts'
import { EwsDriver } from '../../src/groupware/ews-driver.ts'
import type { Item } from '../../src/groupware/plan/items.ts'
import { ewsOptions } from '../../src/protocols/ews/ews-world.ts'
import { fieldsOf, itemClasses } from '../../src/protocols/ews/fields.ts'
import { type ExchangeEwsTwin, exchangeAccount, startExchangeEws } from '../../src/twins/exchange-ews/exchange-ews.ts'
import { describeForeign } from './servers/needs.ts'

const run = promisify(execFile)
const script = (name: string) => join(import.meta.dirname, 'servers', name)

/** What exchangelib must have seen at the end of its stories, times in UTC. */
const expected = {
  created: [['create', 'Prüfung <Q4> & mehr']],
  read: ['Prüfung <Q4> & mehr', 'Köln', 'Zeile 1\nZeile 2', 'RecurringMaster', '2026-03-02T08:00:00+00:00', 6],
  exceptions: [[['2026-03-16T10:00:00+00:00', '2026-03-16T08:00:00+00:00']], ['2026-03-30T07:00:00+00:00']],
  // The clocks change on 29 March; the fifth is deleted.
  view: [
    ['2026-03-02T08:00:00+00:00', 'Prüfung <Q4> & mehr', 'Occurrence'],
    ['2026-03-09T08:00:00+00:00', 'Prüfung <Q4> & mehr', 'Occurrence'],
    ['2026-03-16T10:00:00+00:00', 'Verschoben', 'Exception'],
    ['2026-03-23T08:00:00+00:00', 'Prüfung <Q4> & mehr', 'Occurrence'],
    ['2026-04-06T07:00:00+00:00', 'Prüfung <Q4> & mehr', 'Occurrence'],
  ],
  updated: [['update', 'Prüfung <Q4> & mehr']],
  changed: ['Anders', null],
  stale: 'ErrorIrresolvableConflict',
  deleted: ['delete'],
  contact: ['Zoë', 'Müller', ['neu@acme.example'], [['Weg 2', 'Walldorf']]],
  task: ['Completed', '100', true, '2026-03-06'],
  mail: [1, 'größe.bin', [0, 1, 255], '<p>Hallo</p>'],
  heard: ['CreatedEvent'],
  stranger: 'ErrorImpersonateUserDenied',
  nobody: 'ErrorNonExistentMailbox',
  garbage: 'ErrorInvalidSyncStateData',
}

describeForeign('exchangelib against the EWS twin', ['python3-exchangelib'], () => {
  let twin: ExchangeEwsTwin
  beforeAll(async () => {
    twin = await startExchangeEws({
      accounts: [
        { ...exchangeAccount, impersonates: 'everybody' },
        { user: 'CONTOSO\\stranger', password: exchangeAccount.password, impersonates: ['ben@contoso.example'] },
      ],
      mailboxes: ['anna', 'ben', 'cora'].map(name => ({ address: `${name}@contoso.example` })),
    })
  })
  afterAll(() => twin.stop())

  const python = async (...args: readonly string[]): Promise<unknown> => {
    const PATH = process.env['PATH'] ?? ''
    const env = { PATH, PYTHONWARNINGS: 'ignore', OPENSSL_CONF: script('openssl-legacy.cnf') }
    const { stdout } = await run('/usr/bin/python3', args, { env, timeout: 180_000 })
    return JSON.parse(stdout)
  }

  test.each(['basic', 'ntlm'])('lives a whole life in a mailbox, logged in by %s', async kind => {
    twin.addMailbox('anna@contoso.example')
    expect(await python(script('exchangelib-stories.py'), twin.url, kind)).toEqual(expected)
  })

  test('reads what the hub writes, and knows the same order of the schema', async () => {
    const mailbox = 'cora@contoso.example'
    const driver = new EwsDriver({ ...ewsOptions(twin.url, { auth: 'ntlm' }), markCategory: 'SAP Cloud for Customer' })
    const { signal } = new AbortController()
    async function* nothing(): AsyncGenerator<Uint8Array> {
      // No attachments.
    }
    try {
      for (const item of [series, contact, task, mail] satisfies Item[]) {
        const scope: Scope = {
          organization: 'o',
          mailbox,
          kind: item.kind,
          owner: mailbox,
          folders: [],
          from: null,
          to: null,
        }
        const creation = { key: item.kind, mark: `CRM ${item.kind}`, item, openAttachment: nothing }
        expect(await driver.create(scope, [creation], signal)).toMatchObject([{ state: 'done' }])
      }
    } finally {
      await driver.close()
    }
    const told = (await python(script('exchangelib-reads.py'), twin.url, mailbox)) as Record<string, unknown>
    expect(told).toMatchObject({
      series: [
        'Serie',
        'Zeile 1\nZeile <2> & "3"',
        ['Kunde', 'SAP Cloud for Customer'],
        ['ben@contoso.example'],
        8,
        'Europe/Berlin',
        [
          ['2026-03-16T08:00:00+00:00', '2026-03-16T10:00:00+00:00'],
          ['2026-04-06T07:00:00+00:00', '2026-04-06T07:00:00+00:00'],
        ],
        ['2026-03-09T08:00:00+00:00'],
      ],
      contact: ['Müller, Zoë', 'zoe@acme.example', 'Walldorf'],
      task: ['Angebot', 'InProgress', '40', '2026-03-06'],
      mail: ['Anfrage', 'kunde@acme.example', '2026-03-01T10:00:00+00:00', '<p>Hallo</p>', '<1@acme.example>'],
    })
    const order = told['order'] as Record<string, readonly string[]>
    for (const itemClass of itemClasses) {
      const [ours, theirs] = [fieldsOf(itemClass), order[itemClass] ?? []]
      const both = ours.filter(name => theirs.includes(name))
      expect(both.length, itemClass).toBeGreaterThan(50)
      expect(both).toEqual(theirs.filter(name => ours.includes(name)))
    }
  })
})
