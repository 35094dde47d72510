import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { GuideMachine, isHubReady, readGuide } from '../hub/guide.ts'
import { describeForeign } from './servers/needs.ts'
import { type Postgresql, startPostgresql } from './servers/postgresql.ts'
import { freePorts, waitFor } from './servers/wait.ts'

const guide = readGuide('postgresql')
const takeOverMs = 60_000

describeForeign('the guide of the store on PostgreSQL', ['postgresql', 'openssl'], () => {
  let folder: string
  let server: Postgresql
  let machines: readonly { readonly machine: GuideMachine; readonly adminPort: number }[] = []

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'isthmus-guide-'))
    server = await startPostgresql()
    const ports = await freePorts(4)
    machines = ['first', 'second'].map((name, index) => {
      const [adminPort = 0, endpoints = 0] = ports.slice(2 * index)
      const replacements = [
        ['host: db.contoso.com', `host: localhost\n    port: ${server.port}\n    tls: true`],
        ['stage: prod', 'stage: prod\ntrust: [ca.pem]'],
        ['8080', String(adminPort)],
        ['8081', String(endpoints)],
        // The test server has a database of that name already.
        ['create database isthmus ', 'create database guide '],
        ['password-file: db-password', 'password-file: db-password\n    database: guide\n    user: guide'],
        ['role isthmus', 'role guide'],
        ['owner isthmus', 'owner guide'],
      ] as const
      const environment = { ISTHMUS_URL: `http://127.0.0.1:${adminPort}` }
      return { machine: new GuideMachine({ folder: join(folder, name), environment, replacements }), adminPort }
    })
  })
  afterAll(async () => {
    for (const { machine } of machines) await machine.stop()
    await server?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  test('a hub works with the database, and the second takes over with all that the first had', async () => {
    const [first, second] = machines
    if (!first || !second) throw new Error('two machines were expected')
    const sql = guide.blocks.find(({ kind }) => kind === 'sql')?.text ?? ''
    for (const statement of first.machine.localised(sql).split(';')) {
      if (statement.trim() !== '') await server.admin(statement)
    }
    for (const { machine } of machines) {
      for (const { file, text } of guide.blocks) if (file !== undefined) machine.write(file, text)
      writeFileSync(join(machine.folder, 'db-password'), 'a-long-random-password\n')
      writeFileSync(join(machine.folder, 'ca.pem'), server.ca)
    }
    const commands = guide.blocks.filter(({ kind }) => kind === 'sh').map(({ text }) => text.trim())
    const serve = 'isthmus serve'
    expect(commands).toEqual([serve, 'isthmus store copy'])
    const config = guide.blocks.find(({ file }) => file === 'isthmus.yaml')?.text ?? ''
    // A hub that has worked before, with the store of its data folder.
    first.machine.write('isthmus.yaml', config.slice(0, config.indexOf('store:')))
    await first.machine.start(serve, () => isHubReady(first.adminPort))
    writeFileSync(join(first.machine.folder, 'secret'), 's3cret')
    await first.machine.run(
      'isthmus credential create partner --set kind=basic --set user=partner --secret-file password=secret',
    )
    await first.machine.stop()
    first.machine.write('isthmus.yaml', config)
    expect(await first.machine.run('isthmus store copy')).toMatch(/record +[1-9]/)
    await first.machine.start(serve, () => isHubReady(first.adminPort))
    cpSync(join(first.machine.folder, 'data/master.key'), join(second.machine.folder, 'data/master.key'))

    await second.machine.start(serve, output => output.includes('hub.standing-by'))
    expect(second.machine.output()).toMatch(/isthmus \S+-\d+ at 127\.0\.0\.1/)
    expect(await isHubReady(second.adminPort)).toBe(false)
    await first.machine.stop()
    await waitFor('the second hub to take over', takeOverMs, () => isHubReady(second.adminPort))
    expect(await second.machine.run('isthmus credential list')).toMatch(/partner +basic/)
    expect(await second.machine.run('isthmus audit list')).toMatch(/credential\.create/)
  })

  test('the codes that the guide names exist', () => {
    const errors = readFileSync(join(import.meta.dirname, '../../docs/reference/errors.md'), 'utf8')
    const codes = [...guide.text.matchAll(/`(STORE_[A-Z_]+)`/g)].map(([, code = '']) => code)
    expect(codes.length).toBeGreaterThan(4)
    for (const code of codes) expect(errors).toContain(`\`${code}\``)
  })
})
