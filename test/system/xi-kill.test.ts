import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { seededRandom } from '../corpus/seeded-random.ts'
import { waitFor } from '../foreign/servers/wait.ts'
import { HubUnderTest } from '../hub/hub-under-test.ts'
import { FlowHub } from './flow-hub.ts'
import { webService } from './web-service.ts'
import { document, messageId, sendXi } from './xi-world.ts'

const seed = 20261121
const queues = ['Q1', 'Q2', 'Q3', 'Q4']
const perQueue = 100
const kills = 4
const patienceMs = 90_000

let files: FlowHub
let crm: Awaited<ReturnType<typeof webService>>
let hub: HubUnderTest

beforeEach(async () => {
  files = new FlowHub()
  crm = await webService()
  files.flow(
    'orders',
    `from: { xi: { path: /xi } }
to: { http: { url: "${crm.url}", idempotency-key: x-key } }
delivery: { retry: { every: 50ms, up-to: 200ms, for: 1h } }
`,
  )
  hub = new HubUnderTest({ dataFolder: files.dataFolder, flowFiles: files.flowFiles })
  await hub.start()
})
afterEach(async () => {
  await hub.stop()
  await files.close()
  await crm.stop()
})

/** As a queue of a proxy does it: the next message goes only when this one is acknowledged. */
async function sendQueue(queue: string, first: number): Promise<number> {
  let tries = 0
  for (let number = 0; number < perQueue; number++) {
    const header = { messageId: messageId(first + number), quality: 'ExactlyOnceInOrder', queueId: queue } as const
    await waitFor(`message ${number} of ${queue} to be taken`, patienceMs, async () => {
      tries += 1
      // A hub that is down is tried again, as the job RSXMB_RESTART_MESSAGES does.
      const answer = await sendXi(`${hub.endpointsUrl}/xi`, header, [document(`${queue} ${number}`)]).catch(
        () => undefined,
      )
      return answer?.header?.ack?.status === 'OK'
    })
  }
  return tries
}

test(`the hub is killed ${kills} times under messages in order: none lost, none twice, none out of order (seed ${seed})`, async () => {
  const random = seededRandom(seed)
  const sent = new AbortController()
  const killing = (async () => {
    for (let count = 0; count < kills && !sent.signal.aborted; count++) {
      await sleep(200 + random() * 700)
      await hub.kill9()
      await hub.start()
    }
  })()
  const sending = Promise.all(queues.map((queue, index) => sendQueue(queue, index * perQueue)))
  // Both are waited for, also when one fails: nothing starts a hub behind the end of the test.
  const [tries] = await Promise.allSettled([sending.finally(() => sent.abort()), killing])
  if (tries.status === 'rejected') throw tries.reason
  const total = queues.length * perQueue
  expect(tries.value.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(total)

  // The other side knows repeats by their key, so what counts is the first that it saw of each.
  const first = () => new Map(crm.requests.map(({ headers, body }) => [String(headers['x-key']), body.toString()]))
  await waitFor('all of them to arrive', patienceMs, () => first().size >= total)
  await waitFor('the hub to be done', patienceMs, async () => (await hub.flow('orders')).counts.queued === 0)
  expect(first().size).toBe(total)
  for (const queue of queues) {
    const numbers = [...first().values()]
      .filter(text => text.startsWith(`${queue} `))
      .map(text => Number(text.slice(3)))
    expect(numbers).toEqual(Array.from({ length: perQueue }, (_, number) => number))
  }
  expect((await hub.flow('orders')).counts).toMatchObject({ accepted: total, delivered: total })
}, 240_000)
