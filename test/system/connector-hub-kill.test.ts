import { afterAll, beforeAll, expect, test } from 'vitest'
import { corpusSeed, seededRandom } from '../corpus/seeded-random.ts'
import { startConnectorMail } from './connector-mail-world.ts'
import { pause } from './mail-world.ts'

const seed = Number(process.env['ISTHMUS_LINE_SEED'] ?? corpusSeed)
const mailCount = Number(process.env['ISTHMUS_LINE_MAILS'] ?? 400)
const killCount = Number(process.env['ISTHMUS_LINE_FAULTS'] ?? 5)
/** Between a start and the next kill, at most: some of them strike while the connectors are still coming back. */
const upMsMax = 4000

let world: Awaited<ReturnType<typeof startConnectorMail>>
beforeAll(async () => {
  world = await startConnectorMail()
}, 120_000)
afterAll(() => world?.close())

test(`a hub that is killed again and again has no mail in doubt: its connectors know (seed ${seed})`, async () => {
  const random = seededRandom(seed)
  const sending = world.send(mailCount)
  for (let kill = 0; kill < killCount; kill++) {
    await pause(random() * upMsMax)
    await world.hub.kill9()
    await world.hub.start()
  }
  await sending
  const inDoubt = await world.allEnded()
  const { missing } = world.compare([...world.sentAt.keys()], inDoubt)
  console.info(`seed ${seed}: ${killCount} kills; ${missing.length} of ${inDoubt.length} in doubt not there`)
  expect(inDoubt).toEqual([])
}, 240_000)
