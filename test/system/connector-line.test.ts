import { afterAll, beforeAll, test } from 'vitest'
import { startRelay } from '../../src/connector/agent/agent-world.ts'
import { corpusSeed, seededRandom } from '../corpus/seeded-random.ts'
import { startConnectorMail } from './connector-mail-world.ts'
import { pause } from './mail-world.ts'

const seed = Number(process.env['ISTHMUS_LINE_SEED'] ?? corpusSeed)
const mailCount = Number(process.env['ISTHMUS_LINE_MAILS'] ?? 400)
const faultCount = Number(process.env['ISTHMUS_LINE_FAULTS'] ?? 15)
/** How long a byte is on its way. */
const delayMs = 40
/** The rest between two faults, and how long the line stands still, at most. */
const [restMsMax, stillMsMax] = [1500, 4000]
/** Sometimes it stands still for so long: then both sides give their tunnels up. */
const longStillMs = 20_000
const longStillPart = 0.05
/** How often it is cut instead. */
const cutPart = 0.4

let world: Awaited<ReturnType<typeof startConnectorMail>>
let line: Awaited<ReturnType<typeof startRelay>>
beforeAll(async () => {
  world = await startConnectorMail({
    async line(hubPort) {
      line = await startRelay(hubPort, delayMs)
      return line
    },
  })
}, 120_000)
afterAll(() => world?.close())

test(`over a line that breaks and stands still no mail is lost and none doubled (seed ${seed})`, async () => {
  const random = seededRandom(seed)
  const sending = world.send(mailCount)
  let cutCount = 0
  for (let fault = 0; fault < faultCount; fault++) {
    await pause(random() * restMsMax)
    if (random() < cutPart) {
      line.cut()
      cutCount++
    } else {
      const ms = random() < longStillPart ? longStillMs : random() * stillMsMax
      line.heldUntil = performance.now() + ms
      await pause(ms)
    }
  }
  await sending
  const inDoubt = await world.allEnded()
  const { missing } = world.compare([...world.sentAt.keys()], inDoubt)
  console.info(
    `seed ${seed}: the line cut ${cutCount} times and still ${faultCount - cutCount} times; ` +
      `${missing.length} of ${inDoubt.length} in doubt not there`,
  )
}, 240_000)
