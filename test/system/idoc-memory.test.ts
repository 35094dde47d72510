import { writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { forgetPeak, memoryOf } from '../../bench/mail/measure.ts'
import { idocSample } from '../../src/adapters/idoc-world.ts'
import { formatSize, MiB } from '../../src/kernel/size.ts'
import { waitFor } from '../foreign/servers/wait.ts'
import { makeWorkFolder } from '../foreign/servers/work-folder.ts'
import { HubUnderTest } from '../hub/hub-under-test.ts'

/** 21 KB each, as a material with classification and long texts has. */
const idocBytes = 21_000
/** Bodies that wait for their delivery, and ends that were asked for a moment ago, are kept at hand up to 48 MiB. */
const moreBytesMax = 100 * MiB
const restMs = 2_000
const arriveMs = 240_000

/** Takes everything in and drops it, so that what is measured is the way in. */
const flow = `
flow: materials
from: { idoc: { path: /idoc } }
steps:
  - filter: { keep: 'false', otherwise: drop }
to: []
`

const folder = makeWorkFolder('idoc-memory')
let hub: HubUnderTest

beforeAll(async () => {
  const file = join(folder.path, 'flow.yaml')
  writeFileSync(file, flow)
  hub = new HubUnderTest({ dataFolder: join(folder.path, 'data'), flowFiles: [file] })
  // Read whole, the packet would take several times as much.
  const { NODE_OPTIONS: before } = process.env
  process.env['NODE_OPTIONS'] = `${before ?? ''} --max-old-space-size=128`
  try {
    await hub.start()
  } finally {
    if (before === undefined) delete process.env['NODE_OPTIONS']
    else process.env['NODE_OPTIONS'] = before
  }
})
afterAll(async () => {
  await hub?.stop()
  folder.remove()
})

test('a packet of 1,000 IDocs (21 MB) goes through a heap of 128 MB, with little more memory than smaller ones', async () => {
  // Caches of a fixed size fill, and all code has run, as in a hub that has been up for a while.
  const startedBytes = memoryOf(hub.pid)?.rssBytes ?? Number.NaN
  await take(300, 1)
  await take(300, 2)
  await sleep(restMs)
  const restingBytes = memoryOf(hub.pid)?.rssBytes ?? Number.NaN
  forgetPeak(hub.pid)
  const bytes = await take(1000, 3)
  const peakBytes = memoryOf(hub.pid)?.peakBytes ?? Number.NaN
  const [more, usual] = [peakBytes - restingBytes, restingBytes - startedBytes]
  console.info(
    `two packets of 300: ${formatSize(usual)} more than after the start (${formatSize(startedBytes)}); then ${formatSize(bytes)} in one: ${formatSize(more)} more`,
  )
  expect(bytes).toBeGreaterThan(20 * MiB)
  expect(more).toBeLessThan(moreBytesMax)
}, 300_000)

/** Sends a packet as fast as the hub reads it, and waits until every IDoc of it has ended. Returns its bytes. */
async function take(count: number, run: number): Promise<number> {
  let bytes = 0
  const before = (await hub.flow('materials')).counts.accepted
  const outgoing = request(`${hub.endpointsUrl}/idoc`, { method: 'POST', headers: { 'content-type': 'text/xml' } })
  const answered = new Promise<number | undefined>((resolve, reject) => {
    outgoing.on('error', reject)
    outgoing.on('response', answer => answer.resume().on('end', () => resolve(answer.statusCode)))
  })
  await Promise.all([
    pipeline(async function* () {
      for (const piece of packet(count, run)) {
        bytes += piece.length
        yield piece
      }
    }, outgoing),
    answered,
  ])
  expect(await answered).toBe(200)
  await waitFor('every IDoc to end', arriveMs, async () => {
    const { accepted, queued } = (await hub.flow('materials')).counts
    return accepted === before + count && queued === 0
  })
  return bytes
}

function* packet(count: number, run: number): Generator<Buffer> {
  const sample = idocSample('matmas05-material-3pl.xml').toString()
  const inside = sample.slice(sample.indexOf('<IDOC'), sample.indexOf('</MATMAS05>'))
  const texts = '<E1MTXHM SEGMENT="1"><TDLINE>A line of a long text, as it stands in the basic data.</TDLINE></E1MTXHM>'
  const more = texts.repeat(Math.ceil((idocBytes - inside.length) / texts.length))
  const idoc = inside.replace('</IDOC>', `${more}</IDOC>`)
  yield Buffer.from('<MATMAS05>')
  for (let index = 0; index < count; index += 1) {
    const docnum = String(run * 1_000_000 + index).padStart(16, '0')
    yield Buffer.from(
      idoc.replace('0000000215172311', docnum).replaceAll('000000000123456789', `${index}`.padStart(18, '0')),
    )
  }
  yield Buffer.from('</MATMAS05>')
}
