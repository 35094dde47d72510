import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { ImapFlow } from 'imapflow'
import { parseSize } from '../../src/kernel/size.ts'
import { randomMails, usualSizes } from '../../test/corpus/random-mails.ts'
import { corpusSeed } from '../../test/corpus/seeded-random.ts'
import { type Dovecot, dovecotPassword, startDovecot } from '../../test/foreign/servers/dovecot.ts'
import { missingNeeds } from '../../test/foreign/servers/needs.ts'
import type { Contestant } from './contestant.ts'
import { fetchmail } from './contestants/fetchmail.ts'
import { getmail6 } from './contestants/getmail6.ts'
import { isthmus, isthmusOnSlowDisk } from './contestants/isthmus.ts'
import { pipes } from './contestants/pipe.ts'
import { type MemoryResult, measureMemory } from './memory.ts'
import { memoryTable, summarize, throughputTable } from './report.ts'
import { type RoundResult, runRound } from './round.ts'

/** All that can run, in the order of the first round. */
const contestants: readonly Contestant[] = [isthmus, isthmusOnSlowDisk, ...pipes, getmail6, fetchmail]
const pristine = 'pristine@contoso.com'

const { values } = parseArgs({
  options: {
    mails: { type: 'string', default: '2000' },
    rounds: { type: 'string', default: '3' },
    large: { type: 'string', default: '50MiB' },
    only: { type: 'string', default: contestants.map(contestant => contestant.name).join(',') },
    part: { type: 'string', default: 'throughput,memory' },
    save: { type: 'boolean', default: false },
  },
})
const mailCount = Number(values.mails)
const roundCount = Number(values.rounds)
const parts = values.part.split(',')

const lacking = missingNeeds(['dovecot', 'smtp-sink', 'openssl'])
if (lacking.length > 0) {
  console.error(`bench:mail needs ${lacking.join(', ')}; run npm run setup:foreign.`)
  process.exit(1)
}
const riders = contestants.filter(contestant => {
  if (!values.only.split(',').includes(contestant.name)) return false
  const missing = missingNeeds(contestant.needs)
  if (missing.length > 0) console.log(`${contestant.name} does not run: ${missing.join(', ')} missing.`)
  return missing.length === 0
})

const roundUser = (contestant: Contestant, round: number) => `${contestant.name}-${round}@contoso.com`
const memoryUser = (contestant: Contestant) => `${contestant.name}-memory@contoso.com`
const users = riders.flatMap(rider => [
  memoryUser(rider),
  ...Array.from({ length: roundCount }, (_unused, round) => roundUser(rider, round)),
])
const dovecot = await startDovecot({ users: [pristine, ...users] })
const rounds: RoundResult[] = []
const memory: MemoryResult[] = []
let totalBytes = 0
try {
  if (parts.includes('throughput')) {
    totalBytes = await fillPristine(dovecot)
    console.log(`${mailCount} mails, ${(totalBytes / 1e6).toFixed(1)} MB, seed ${corpusSeed}, ${cpus().length} cores\n`)
    for (let round = 0; round < roundCount; round++) {
      for (const rider of rotated(riders, round)) {
        const user = roundUser(rider, round)
        dovecot.cloneMailbox(pristine, user)
        const result = await runRound(rider, dovecot, user, mailCount)
        rounds.push(result)
        console.log(roundLine(round, result))
      }
    }
    console.log(`\n${throughputTable(summarize(rounds, mailCount, totalBytes))}\n`)
  }
  if (parts.includes('memory')) {
    for (const rider of riders) {
      memory.push(await measureMemory(rider, dovecot, memoryUser(rider), parseSize(values.large)))
    }
    console.log(`${memoryTable(memory)}\n`)
  }
} finally {
  await dovecot.stop()
}
for (const rider of riders) console.log(`${rider.name}: ${rider.setting}`)
if (values.save) save()
if (rounds.some(round => round.invalid !== undefined)) process.exitCode = 1

/** Fills the mailbox that every round starts from, and reads it once so that index files and page cache are warm. */
async function fillPristine(server: Dovecot): Promise<number> {
  let bytes = 0
  function* counted() {
    for (const mail of randomMails(corpusSeed, mailCount, usualSizes)) {
      bytes += mail.bytes.length
      yield mail.bytes
    }
  }
  server.seed(pristine, counted())
  const client = new ImapFlow({
    host: '127.0.0.1',
    port: server.imapsPort,
    secure: true,
    tls: { ca: server.ca },
    logger: false,
    auth: { user: pristine, pass: dovecotPassword },
  })
  await client.connect()
  await client.mailboxOpen('INBOX')
  let seenCount = 0
  for await (const row of client.fetch('1:*', { source: true, size: true, envelope: true })) {
    if (row.source) seenCount++
  }
  await client.logout()
  if (seenCount !== mailCount) throw new Error(`The mailbox holds ${seenCount} of ${mailCount} mails.`)
  return bytes
}

/** Each round begins with another contestant, so that none is always behind the same one. */
function rotated<T>(items: readonly T[], by: number): T[] {
  const start = items.length === 0 ? 0 : by % items.length
  return [...items.slice(start), ...items.slice(0, start)]
}

function roundLine(round: number, result: RoundResult): string {
  const figures = `${result.seconds.toFixed(2)} s, CPU ${result.cpuSeconds.toFixed(2)} s, load ${loadavg()[0]?.toFixed(1)}`
  const verdict = result.invalid === undefined ? '' : `  INVALID: ${result.invalid}`
  return `round ${round + 1}  ${result.contestant.padEnd(10)} ${figures}${verdict}`
}

function save(): void {
  const day = new Date().toISOString().slice(0, 10)
  const folder = fileURLToPath(new URL('../results/', import.meta.url))
  mkdirSync(folder, { recursive: true })
  const file = `${folder}mail-${day}.json`
  const machine = { cores: cpus().length, model: cpus()[0]?.model, node: process.version }
  const course = { mailCount, totalBytes, seed: corpusSeed, sizes: usualSizes }
  const summary = summarize(rounds, mailCount, totalBytes)
  writeFileSync(file, `${JSON.stringify({ day, machine, course, summary, rounds, memory }, undefined, 2)}\n`)
  console.log(`Written to ${file}.`)
}
