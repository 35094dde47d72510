import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { materialPacket, type SmallIdoc } from '../../src/adapters/idoc-world.ts'
import { parseIdocs } from '../../src/protocols/idoc/read-idocs.ts'
import { corpusSeed, seededRandom } from '../corpus/seeded-random.ts'
import { waitFor } from '../foreign/servers/wait.ts'
import { makeWorkFolder } from '../foreign/servers/work-folder.ts'
import { HubUnderTest } from '../hub/hub-under-test.ts'

const seed = Number(process.env['ISTHMUS_KILL_SEED'] ?? corpusSeed)
const idocCount = Number(process.env['ISTHMUS_KILL_IDOCS'] ?? 5000)
const killCount = Number(process.env['ISTHMUS_KILL_KILLS'] ?? 6)
const settleMs = 300_000
const objectCount = 200

const flows = (target: string) => [
  `
flow: materials
from: { idoc: { path: /idoc } }
to:
  http:
    url: "${target}/products/\${message.objectKey}"
    method: PUT
    idempotency-key: Idempotency-Key
    timeout: 10s
answer: { to: acknowledgements, on: [delivered, set-aside, skipped], after: 100ms }
delivery: { retry: { every: 100ms, up-to: 1s, for: 1h } }
`,
  `
flow: acknowledgements
from: { answers: {} }
to:
  idoc: { url: "${target}/sap/bc/idoc_xml", acknowledge: SYSTAT01, timeout: 10s }
delivery: { retry: { every: 100ms, up-to: 1s, for: 1h } }
`,
]

const random = seededRandom(seed)
const folder = makeWorkFolder('idoc-kill')
/** Numbers that were applied to each object, in the order of their application. */
const applied = new Map<string, string[]>()
const seenKeys = new Set<string>()
let repeatCount = 0
/** Statuses that SAP heard, by number. */
const heard = new Map<string, string[]>()

/** A CRM that applies what comes under a new key, is slow or busy now and then, and sometimes loses its answer; and SAP. */
const target = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const chance = random()
    if (chance < 0.03) {
      response.writeHead(503).end()
      return
    }
    const [idoc] = parseIdocs(Buffer.concat(chunks))
    if (request.url?.startsWith('/products/')) {
      const key = String(request.headers['idempotency-key'])
      if (seenKeys.has(key)) repeatCount += 1
      else {
        seenKeys.add(key)
        const object = request.url.slice('/products/'.length)
        applied.set(object, [...(applied.get(object) ?? []), idoc?.control.get('DOCNUM')?.padStart(16, '0') ?? ''])
      }
    } else {
      const fields = idoc?.data.children[0]?.fields
      const docnum = fields?.get('DOCNUM') ?? ''
      heard.set(docnum, [...(heard.get(docnum) ?? []), fields?.get('STATUS') ?? ''])
    }
    if (chance > 0.995) request.socket.destroy()
    else setTimeout(() => response.writeHead(204).end(), chance * 20)
  })
})

let hub: HubUnderTest

beforeAll(async () => {
  target.listen(0, '127.0.0.1')
  await once(target, 'listening')
  const address = target.address()
  const url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
  mkdirSync(join(folder.path, 'flows'))
  const flowFiles = flows(url).map((text, index) => {
    const file = join(folder.path, 'flows', `${index}.yaml`)
    writeFileSync(file, text)
    return file
  })
  hub = new HubUnderTest({ dataFolder: join(folder.path, 'data'), flowFiles })
})
afterAll(async () => {
  await hub?.stop()
  target.closeAllConnections()
  target.close()
  await once(target, 'close')
  folder.remove()
})

test(`${idocCount} IDocs while the hub is killed: none lost, none twice, none out of order (seed ${seed})`, async () => {
  const idocs: SmallIdoc[] = Array.from({ length: idocCount }, (_, index) => ({
    docnum: String(700_000 + index),
    matnr: String(1 + Math.floor(random() * objectCount)),
    text: `T${index}`,
  }))
  await hub.start()
  const kills: string[] = []
  let sentCount = 0
  let isSending = true

  const sending = send().finally(() => {
    isSending = false
  })
  const killing = kill()
  await Promise.all([sending, killing])
  await waitFor('every delivery to end', settleMs, async () => {
    const [materials, acknowledgements] = [await hub.flow('materials'), await hub.flow('acknowledgements')]
    return materials.counts.queued === 0 && acknowledgements.counts.queued === 0
  })

  const expected = new Map<string, string[]>()
  for (const { docnum, matnr = '' } of idocs) {
    expected.set(matnr, [...(expected.get(matnr) ?? []), docnum.padStart(16, '0')])
  }
  expect(Object.fromEntries(applied)).toEqual(Object.fromEntries(expected))
  const unheard = idocs.filter(({ docnum }) => heard.get(docnum.padStart(16, '0'))?.at(-1) !== '41')
  expect(unheard).toEqual([])
  expect([...heard.values()].flat().filter(status => status !== '41')).toEqual([])
  const { counts } = await hub.flow('materials')
  expect(counts).toMatchObject({ accepted: idocCount, delivered: idocCount })
  const told = [...heard.values()].flat().length - idocCount
  console.info(
    `seed ${seed}: killed ${kills.join(', ')}; ${repeatCount} requests came again under their key, ${told} acknowledgements came again`,
  )

  /** As RSEOUT00 does: a packet that did not get its 200 is sent again, before the next. */
  async function send(): Promise<void> {
    for (let at = 0; at < idocs.length; ) {
      const packet = idocs.slice(at, at + 1 + Math.floor(random() * 60))
      const body = materialPacket(...packet)
      const deadline = Date.now() + settleMs
      while (!(await passes(body))) {
        if (Date.now() > deadline) throw new Error(`The hub takes no packets any more: ${hub.output()}`)
        await sleep(50)
      }
      at += packet.length
      sentCount = at
    }
  }

  async function kill(): Promise<void> {
    for (let count = 0; count < killCount; count += 1) {
      const until = ((count + 0.2 + 0.7 * random()) / killCount) * idocCount
      await waitFor('its moment', settleMs, () => sentCount >= until || !isSending)
      await sleep(random() * 200)
      await hub.kill9()
      kills.push(`at ${sentCount} sent, ${seenKeys.size} applied`)
      await hub.start()
    }
  }
}, 600_000)

async function passes(body: string): Promise<boolean> {
  try {
    const headers = { 'content-type': 'text/xml' }
    const answer = await fetch(`${hub.endpointsUrl}/idoc`, { method: 'POST', headers, body })
    await answer.arrayBuffer()
    return answer.status === 200
  } catch {
    // The hub was killed while it listened: the packet has not passed.
    return false
  }
}
