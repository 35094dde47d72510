import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { missingNeeds } from '../../test/foreign/servers/needs.ts'
import { median } from '../mail/measure.ts'
import { type ContestantName, type RoundResult, runRound } from './round.ts'

const { values } = parseArgs({
  options: {
    rate: { type: 'string', default: '100' },
    seconds: { type: 'string', default: '24' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: 'isthmus,haproxy' },
  },
})
const missing = missingNeeds(['haproxy'])
if (missing.length > 0) {
  console.error('bench:balance needs haproxy; run npm run setup:foreign.')
  process.exit(1)
}
const perSecond = Number(values.rate)
const seconds = Number(values.seconds)
console.log(
  `${perSecond} mails/s for ${seconds} s a round, ${cpus().length} cores. Spread: good / slow / flapping server.\n`,
)
const all: readonly ContestantName[] = ['isthmus', 'haproxy']
const contestants = all.filter(contestant => values.only.split(',').includes(contestant))
const results: RoundResult[] = []
for (let round = 0; round < Number(values.rounds); round++) {
  for (const contestant of round % 2 === 0 ? contestants : contestants.toReversed()) {
    const result = await runRound(contestant, { perSecond, seconds, name: `${contestant}-${round}` })
    results.push(result)
    console.log(`round ${round + 1}  ${lineOf(result)}`)
  }
}
console.log('\nmedians')
for (const contestant of contestants) {
  const own = results.filter(result => result.contestant === contestant)
  const of = (read: (result: RoundResult) => number) => median(own.map(read))
  console.log(
    lineOf({
      contestant,
      mails: of(({ mails }) => mails),
      spread: [0, 1, 2].map(server => of(({ spread }) => spread[server] ?? 0)),
      errors: of(({ errors }) => errors),
      errorCodes: [...new Set(own.flatMap(({ errorCodes }) => errorCodes))],
      doubled: of(({ doubled }) => doubled),
      lost: of(({ lost }) => lost),
      p50Ms: of(({ p50Ms }) => p50Ms),
      p99Ms: of(({ p99Ms }) => p99Ms),
      cpuMsPerMail: of(({ cpuMsPerMail }) => cpuMsPerMail),
      load: of(({ load }) => load),
    }),
  )
}
if (results.some(({ lost, doubled }) => lost + doubled > 0)) process.exitCode = 1

function lineOf(result: RoundResult): string {
  const spread = result.spread.map(count => `${((count * 100) / result.mails).toFixed(1)} %`).join(' / ')
  return [
    result.contestant.padEnd(8),
    spread.padEnd(26),
    `errors ${result.errors} of ${result.mails} ${result.errorCodes.join(', ')}`.trimEnd(),
    `lost ${result.lost}, doubled ${result.doubled}`,
    `p50 ${result.p50Ms.toFixed(1)} ms`,
    `p99 ${result.p99Ms.toFixed(1)} ms`,
    `CPU ${result.cpuMsPerMail.toFixed(2)} ms/mail`,
    `load ${result.load.toFixed(1)}`,
  ].join('  ')
}
