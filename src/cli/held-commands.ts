import type { Command } from 'commander'
import type { z } from 'zod'
import { heldDecidedView, heldView } from '../api/groupware-views.ts'
import { readAnswer } from './answers.ts'
import type { Cli } from './cli.ts'
import { exitCodes } from './cli-errors.ts'
import { wholeNumber } from './input.ts'
import { table } from './print.ts'

const sides = { exchange: 'Exchange', crm: 'CRM' } as const

/** mailbox held, release-brake, restore-held: deletions that are suspiciously many wait for a person */
export function heldCommands(mailbox: Command, cli: Cli): void {
  const pathOf = (address: string, action: string) => `/api/mailboxes/${encodeURIComponent(address)}/${action}`

  mailbox
    .command('held <address>')
    .description(
      'deletions that wait for a person: which items, where they were deleted, since when; exit code 1 when there are any',
    )
    .option('--kind <kind>', 'only mail, appointment, contact or task')
    .option('--after <position>', 'the page behind this one')
    .option('--limit <count>', 'how many', wholeNumber, '200')
    .action(async (address: string, options: Record<string, string | undefined>, command: Command) => {
      const answer = readAnswer(heldView, await cli.hub(command).get(pathOf(address, 'held'), options))
      if (Object.keys(answer.counts).length > 0) cli.exitWith(exitCodes.notInOrder)
      cli.show(command, answer, () => describe(address, answer))
    })

  for (const [action, description, outcome] of [
    [
      'release-brake',
      'lets the deletions pass that wait: what is left of the items goes, too',
      'deletions pass with the next round of',
    ],
    [
      'restore-held',
      'takes the deletions that wait for mistakes: what is gone is created anew from what is left',
      'items are created anew with the next round of',
    ],
  ] as const) {
    mailbox
      .command(`${action} <address>`)
      .description(description)
      .option('--kind <kind>', 'only mail, appointment, contact or task')
      .action(async (address: string, { kind }: { kind?: string }, command: Command) => {
        const body = { ...(kind !== undefined && { kind }) }
        const answer = readAnswer(heldDecidedView, await cli.hub(command).send('POST', pathOf(address, action), body))
        cli.show(command, answer, () =>
          answer.decided === 0
            ? `Nothing of ${answer.address} is held back.\n`
            : `${answer.decided} ${outcome} ${answer.address}.\n`,
        )
      })
  }
}

function describe(address: string, { items, counts, next }: z.output<typeof heldView>): string {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0)
  if (total === 0) return `Nothing of ${address} is held back.\n`
  const rows = items.map(({ kind, title, date, deletedOn, heldAt, isGone }) => [
    kind,
    title === '' ? (isGone ? '(gone on both sides)' : '(private)') : title,
    date,
    sides[deletedOn],
    heldAt,
  ])
  const more = next === undefined ? '' : `More: --after '${next}'\n`
  return (
    `${table(['KIND', 'TITLE', 'DATE', 'DELETED IN', 'WAITS SINCE'], rows)}${more}\n` +
    `${total} deletions wait. Meant: isthmus mailbox release-brake ${address}\n` +
    `A mistake: isthmus mailbox restore-held ${address}\n`
  )
}
