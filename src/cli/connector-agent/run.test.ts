import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import { exitCodes } from '../cli-errors.ts'
import { run } from './run.ts'

/** The exit code of a command of the connector, and what it complained of. */
async function complaintOf(...argv: readonly string[]): Promise<readonly [number, string]> {
  return complaintWith('', ...argv)
}

/** The same, where this is typed into it. */
async function complaintWith(typed: string, ...argv: readonly string[]): Promise<readonly [number, string]> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
  stdin.end(typed)
  const { signal } = new AbortController()
  const code = await run(argv, { stdin, stdout, stderr, cwd: import.meta.dirname, signal })
  return [code, await text(stderr.end())]
}

test.each(['hub.contoso.com', 'https://hub.contoso.com:8443', 'hub.contoso.com:99999', ''])(
  'enrol at %j, where host and port are wanted',
  async node => {
    const [code, words] = await complaintOf('enrol', '--hub', node, '--token-file', '-', '--data', 'data')
    expect([code, words]).toEqual([exitCodes.usage, expect.stringContaining('for example hub.contoso.com:8443')])
  },
)

test('the command that the hub prints takes the token that is pasted into it', async () => {
  const printed = ['enrol', '--hub', 'hub.contoso.com:8443', '--data', 'data']
  const wrong = [exitCodes.usage, expect.stringContaining('This is no enrolment token')]
  expect(await complaintWith('no token\n', ...printed)).toEqual(wrong)
  const none = [exitCodes.usage, expect.stringContaining('Standard input holds no token.')]
  expect(await complaintOf(...printed)).toEqual(none)
})

/** What `check` finds of the audit log below this data folder. */
async function auditFound(data: string): Promise<{ readonly ok: boolean; readonly detail: string }> {
  writeFileSync(join(data, 'connector.yaml'), 'data: .\nvirtual-hosts: {}\n')
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
  await run(['check', '--json'], { stdin, stdout, stderr, cwd: data, signal: new AbortController().signal })
  const { lines } = JSON.parse(await text(stdout.end())) as { lines: { what: string; ok: boolean; detail: string }[] }
  return lines.find(({ what }) => what === 'audit log') ?? { ok: false, detail: 'nothing' }
}

test('check says so where no line can be added to the audit log, or none can be read', async () => {
  const data = mkdtempSync(join(tmpdir(), 'isthmus-connector-'))
  onTestFinished(() => rmSync(data, { recursive: true }))
  expect(await auditFound(data)).toMatchObject({ ok: true })
  expect(readdirSync(data)).toEqual(['connector.yaml'])
  const audit = join(data, 'audit')
  mkdirSync(audit)
  expect(await auditFound(data)).toMatchObject({ ok: true, detail: '0 entries, the chain holds' })
  expect(readdirSync(audit)).toEqual([])
  rmSync(audit, { recursive: true })
  // What not even root writes into, and what is no folder.
  symlinkSync('/proc/self', audit)
  expect(await auditFound(data)).toMatchObject({ ok: false, detail: expect.stringContaining('cannot be written') })
  rmSync(audit)
  writeFileSync(audit, '')
  expect(await auditFound(data)).toMatchObject({ ok: false, detail: expect.stringContaining('cannot be read') })
})
