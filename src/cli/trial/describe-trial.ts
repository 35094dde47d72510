import type { JsonObject } from '../../kernel/json.ts'
import type { Message } from '../../kernel/message.ts'
import { formatSize } from '../../kernel/size.ts'
import { printable } from '../../monitor/log-format.ts'
import { printableLines } from '../print.ts'
import type { TrialEvent } from './recording.ts'
import type { Trial, TriedMessage } from './try-flow.ts'

/** Letters of a body that are shown; with `isWhole` all of them. */
const shownLetters = 1200

/** A trial as a person reads it, from the top to the bottom. */
export function describeTrial({ flow, messages, filledIn, answer }: Trial, isWhole: boolean): string {
  const samples = filledIn === undefined ? '' : `Made up for the trial: ${filledIn}\n\n`
  const parts = messages.map((message, index) => {
    const title = messages.length === 1 ? `Flow ${flow}` : `Flow ${flow}, message ${index + 1} of ${messages.length}`
    return `${title}\n\n${describeMessage(message, isWhole)}`
  })
  // What a caller gets for want of an answer that a hub would have asked for is of no interest.
  const isCutShort = messages.some(({ taken }) => taken.error?.code.startsWith('TRIAL_'))
  return `${samples}${parts.join('\n')}${answer && !isCutShort ? describeAnswer(answer) : ''}`
}

/** The same for programs. */
export function trialAsJson({ flow, warnings, messages, filledIn, answer }: Trial): unknown {
  return {
    flow,
    warnings,
    filledIn,
    messages: messages.map(({ taken, events, failure }) => ({
      orderKey: taken.orderKey,
      terms: taken.terms,
      state: failure ? 'failed' : taken.state,
      summary: taken.summary,
      error: errorOf(failure ?? taken.error),
      way: events.flatMap(eventAsJson),
    })),
    answer: answer && { status: answer.status, headers: answer.headers, body: decode(answer.body) },
  }
}

function describeMessage({ taken, events, failure }: TriedMessage, isWhole: boolean): string {
  const lines = [
    ...(taken.orderKey === undefined ? [] : [`  order key: ${taken.orderKey}`]),
    ...(taken.terms.length === 0 ? [] : [`  found by: ${taken.terms.join(', ')}`]),
    ...describeFields('  ', withoutEmpty(taken.attributes)),
    ...events.flatMap(event => (event.what === 'taken' ? describeBody(event.message, isWhole) : [])),
  ]
  const ways = events.flatMap(event => {
    if (event.what === 'taken') return []
    return event.what === 'step' ? describeStep(event, isWhole) : describeReceiver(event, isWhole)
  })
  const error = failure ?? taken.error
  const how =
    failure && failure.retry !== 'never' ? 'failed; a hub would try again' : failure ? 'set-aside' : taken.state
  const end = error
    ? [`End: ${how}`, `  ${error.code}: ${error.message}`, `  Next: ${error.next}`]
    : [`End: ${how}${taken.summary ? ` (${taken.summary})` : ''}`]
  return `${printableLines(['Taken in', ...lines, ...ways, ...end].join('\n'))}\n`
}

function describeStep(
  { place, id, message, result }: Extract<TrialEvent, { what: 'step' }>,
  isWhole: boolean,
): string[] {
  const name = place === id ? place : `${place} ${id}`
  if ('error' in result) return [`${name}: ${result.error.code}`]
  if ('end' in result) return [`${name}: ${result.end} (${result.reason})`]
  const changes = describeChanges(message, result.next, isWhole)
  return [changes.length === 0 ? `${name}: goes on as it is` : name, ...changes]
}

function describeChanges(before: Message, after: Message, isWhole: boolean): string[] {
  const attributes = changed(before.attributes, after.attributes)
  const headers = changed(before.headers, after.headers)
  const isSameBody = before.body === after.body
  return [
    ...describeFields('  ', attributes),
    ...describeFields('  header ', headers),
    ...(isSameBody ? [] : describeBody(after, isWhole)),
  ]
}

function describeReceiver(
  { place, id, message, config, isAnswered }: Extract<TrialEvent, { what: 'receiver' }>,
  isWhole: boolean,
): string[] {
  return [
    `${place} ${id}: ${isAnswered ? 'not asked, answered as given' : 'not sent'}`,
    ...describeFields('  ', config),
    ...describeBody(message, isWhole),
  ]
}

function describeFields(indent: string, fields: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(fields).map(
    ([name, value]) => `${indent}${name}: ${printable(typeof value === 'string' ? value : JSON.stringify(value))}`,
  )
}

function describeBody({ body }: Message, isWhole: boolean): string[] {
  const head = `  ${body.type}, ${formatSize(body.bytes)}`
  const text = body.held && decode(body.held)
  if (text === undefined) return [body.bytes === 0 ? head : `${head}, not shown`]
  const shown = isWhole ? text : text.slice(0, shownLetters)
  const left = text.length - shown.length
  const more = left > 0 ? [`    … ${left} more letters (--whole shows them)`] : []
  return [
    head,
    ...(shown === ''
      ? []
      : shown
          .replace(/(?:\r?\n)+$/, '')
          .split(/\r?\n/)
          .map(line => `    ${line}`)),
    ...more,
  ]
}

function describeAnswer(answer: NonNullable<Trial['answer']>): string {
  const text = decode(answer.body)
  return `\nThe caller gets ${answer.status}\n${text ? `${printableLines(text)}\n` : ''}`
}

function withoutEmpty(attributes: JsonObject): JsonObject {
  const isEmpty = (value: unknown) => value === '' || value === null || (Array.isArray(value) && value.length === 0)
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => !isEmpty(value)))
}

function changed<T>(before: Readonly<Record<string, T>>, after: Readonly<Record<string, T>>): Record<string, unknown> {
  const names = new Set([...Object.keys(before), ...Object.keys(after)])
  const different = [...names].filter(name => JSON.stringify(before[name]) !== JSON.stringify(after[name]))
  return Object.fromEntries(different.map(name => [name, after[name] ?? '(gone)']))
}

function eventAsJson(event: TrialEvent): readonly JsonObject[] {
  return event.what === 'taken' ? [] : [wayAsJson(event)]
}

function wayAsJson(event: Exclude<TrialEvent, { what: 'taken' }>): JsonObject {
  const { place, id } = event
  if (event.what === 'receiver') {
    const { message, config, isAnswered } = event
    return { place, receiver: id, isAnswered, config: JSON.parse(JSON.stringify(config)), ...messageAsJson(message) }
  }
  const { result } = event
  if ('error' in result) return { place, step: id, error: errorOf(result.error) ?? null }
  if ('end' in result) return { place, step: id, end: result.end, reason: result.reason }
  return { place, step: id, ...messageAsJson(result.next) }
}

function messageAsJson({ headers, attributes, body }: Message): JsonObject {
  const text = body.held && decode(body.held)
  const content = text === undefined ? {} : { body: text }
  return { headers: { ...headers }, attributes, type: body.type, bytes: body.bytes, ...content }
}

function errorOf(error: { code: string; message: string; next: string } | undefined): JsonObject | undefined {
  return error && { code: error.code, message: error.message, next: error.next }
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    // Not a text: its size says what there is to say.
    return undefined
  }
}
