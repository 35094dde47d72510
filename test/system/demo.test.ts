import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { waitFor } from '../foreign/servers/wait.ts'

const isthmus = resolve(import.meta.dirname, '../../src/cli/isthmus.js')
let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-demo-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function demo(...args: string[]) {
  const child = spawn(process.execPath, [isthmus, 'demo', '--data', join(folder, 'data'), ...args])
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', chunk => {
      output += chunk
    })
  }
  const ended = new Promise<number | null>(done => child.once('close', done))
  return { child, ended, output: () => output }
}

test('the demo delivers for a while, says how each flow did and ends with 0', async () => {
  const run = demo('--for', '9s')
  expect(await run.ended, run.output()).toBe(0)
  for (const flow of ['mail-o365-to-s4', 'cost-centres', 's4-to-dynamics', 'c4c-groupware']) {
    const line = new RegExp(`^${flow}: (\\d+) accepted, (\\d+) delivered, 0 set aside$`, 'm').exec(run.output())
    expect(Number(line?.[1]), flow).toBeGreaterThan(0)
    expect(line?.[2]).toBe(line?.[1])
  }
  // The way leads through a connector, and one of the three servers behind it goes away meanwhile.
  expect(run.output()).toMatch(/^ {2}connector {3}vm-17 \(c-\w+\) of location dc-frankfurt: enrolled, 2 tunnels/m)
  expect(run.output()).toMatch(/s4-smtp\.virtual:25 leads to (127\.0\.0\.1:\d+ up(, )?){3}/)
  expect(run.output()).toMatch(/s4-app2 goes away[\s\S]*target\.down machine=vm-17/)
  const [told = '', ...numbers] =
    /s4-app1: (\d+), s4-app2: (\d+), s4-app3: (\d+)(?:; (\d+) of them to probe the way)?$/m.exec(run.output()) ?? []
  const [first = 0, second = 0, third = 0, probes = 0] = numbers.map(text => Number(text ?? 0))
  const mails = Number(/^mail-o365-to-s4: (\d+) accepted/m.exec(run.output())?.[1])
  expect(first + second + third - probes, told).toBe(mails)
  expect(run.output()).toMatch(
    /\d+ appointments went from Outlook to the CRM, 4 from the CRM to Outlook, 2 of them visits/,
  )
  expect(run.output()).toMatch(/Dynamics 365 has (\d+) accounts, \1 products, \1 stocks and \1 invoices/)
  expect(run.output()).toMatch(
    /S\/4HANA knows that \d+ IDocs and \d+ proxy messages arrived, and got (\d+) answers to \1/,
  )
})

test('Ctrl-C ends it cleanly', async () => {
  const run = demo()
  await waitFor('the first delivery', 90_000, () => run.output().includes('delivery.delivered'))
  run.child.kill('SIGINT')
  expect(await run.ended, run.output()).toBe(0)
  expect(run.output()).toContain('hub.stopped')
})
