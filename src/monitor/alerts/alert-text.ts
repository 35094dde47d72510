import { printable } from '../log-format.ts'
import type { Alert } from './alert.ts'

/** The subject line of an alert; values from messages cannot break out of the line. */
export function alertSubject(alert: Alert): string {
  return printable(`[Isthmus] ${alert.state === 'open' ? '' : 'Resolved: '}${alert.what}`).slice(0, 200)
}

/** An alert as plain text for people: what, since when, whose turn it is, what to do next. */
export function alertText(alert: Alert): string {
  const lines = [
    alert.what,
    '',
    `Since:  ${new Date(alert.since).toISOString()}`,
    alert.resolvedAt === undefined ? '' : `Until:  ${new Date(alert.resolvedAt).toISOString()}`,
    alert.flow === undefined ? '' : `Flow:   ${alert.flow}`,
    `Turn:   ${alert.turn}`,
    alert.state === 'open' ? `Next:   ${alert.next}` : 'Next:   Nothing; it works again.',
    `Look:   ${alert.command}`,
    alert.isFlapping
      ? `It comes and goes (${alert.raises.length} times within the hour), so it stays open for a while.`
      : '',
    `Alert:  ${alert.id}`,
  ]
  return `${lines
    .filter((line, index) => line !== '' || index === 1)
    .map(printable)
    .join('\n')}\n`
}
