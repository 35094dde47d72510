import { DAY, formatDuration, MINUTE } from '../kernel/time.ts'
import type { LoadedFlow, StepNode } from './document.ts'
import { isNode } from './node-places.ts'
import { isPlainObject } from './plain-object.ts'
import type { Problem } from './problem.ts'
import type { FlowDocument } from './schema.ts'
import type { Path, YamlSource } from './yaml-source.ts'

/** True when no message goes on behind a list of steps. */
export function listEnds(steps: readonly StepNode[]): boolean {
  return steps.some(step => step.declaration.endsWay?.(step.config) ?? false)
}

/** What the schema cannot see: the order of steps, a way without an end, settings that contradict each other. */
export async function lintSteps(
  document: FlowDocument,
  source: YamlSource,
  folder: string,
): Promise<readonly Problem[]> {
  const problems = await lintList(document.steps, ['steps'], source, folder)
  if (document.to === undefined && !listEnds(document.steps)) {
    const next =
      'Name a receiver under to:. Write to: [] when messages end here, for example in a flow that only answers.'
    problems.push(source.atKey(['flow'], 'FLOW_MISSING', 'The flow needs to: it does not say where messages go.', next))
  }
  return [...problems, ...contradictions(document, source)]
}

async function lintList(
  steps: readonly StepNode[],
  path: Path,
  source: YamlSource,
  folder: string,
): Promise<Problem[]> {
  const problems: Problem[] = []
  for (const [index, { declaration, config }] of steps.entries()) {
    const own = [...path, index, declaration.id]
    const { after } = declaration
    if (after !== undefined && !steps.slice(0, index).some(step => step.declaration.id === after)) {
      const next = `Put a ${after} before it, in the same list of steps.`
      problems.push(source.atKey(own, 'FLOW_ORDER', `${declaration.id} needs a ${after} before it.`, next))
    }
    const last = index > 0 ? steps[index - 1] : undefined
    if (last?.declaration.endsWay?.(last.config)) {
      const message = `No message reaches this step: the ${last.declaration.id} before it ends every way.`
      problems.push({
        ...source.atKey(own, 'FLOW_DOUBTFUL', message, 'Remove it, or put it before.'),
        severity: 'warning',
      })
    }
    for (const finding of (await declaration.lint?.(config, folder)) ?? []) {
      problems.push(source.atValue([...own, ...finding.path], 'FLOW_FILE', finding.message, finding.next))
    }
    problems.push(...(await lintInside(config, own, source, folder)))
  }
  return problems
}

/** Lists of steps inside the configuration of a step. */
async function lintInside(value: unknown, path: Path, source: YamlSource, folder: string): Promise<Problem[]> {
  if (Array.isArray(value)) {
    const steps = value.filter((item): item is StepNode => isNode(item) && 'prepare' in item.declaration)
    if (steps.length > 0) return lintList(steps, path, source, folder)
    const inside = await Promise.all(value.map((item, index) => lintInside(item, [...path, index], source, folder)))
    return inside.flat()
  }
  if (!isPlainObject(value) || isNode(value)) return []
  const inside = await Promise.all(
    Object.entries(value).map(([name, inner]) => lintInside(inner, [...path, name], source, folder)),
  )
  return inside.flat()
}

function contradictions(document: FlowDocument, source: YamlSource): readonly Problem[] {
  const { answer, delivery, expect } = document
  const problems: Problem[] = []
  const sender = (document.from as LoadedFlow['from']).declaration
  if (answer && (answer.to === document.flow || sender.id === 'answers')) {
    const message = 'An answer would be answered, and so on without an end.'
    const next = 'Name another flow, whose sender is answers and which has no answer of its own.'
    problems.push(source.atKey(['answer'], 'FLOW_VALUE', message, next))
  }
  if (delivery['only-newer'] && !delivery['order-by'] && !sender.delivery?.['order-by']) {
    const message = 'only-newer compares messages with the same order-by value, and there is none.'
    const next = 'Say with order-by what belongs together.'
    problems.push(source.atKey(['delivery', 'only-newer'], 'FLOW_VALUE', message, next))
  }
  const onceBy = delivery['once-by']
  if (onceBy && !onceBy.dependsOnMessage) {
    const next = "Write what tells messages apart, for example message.headers['message-id']."
    const message = 'once-by is the same for every message, so only the first would ever be accepted.'
    problems.push(source.atValue(['delivery', 'once-by'], 'FLOW_VALUE', message, next))
  }
  const { every, 'up-to': upTo } = delivery.retry
  if (every > upTo) {
    const message = `The longest wait (up-to, ${formatDuration(upTo)}) is shorter than the first one (every, ${formatDuration(every)}).`
    const at = source.has(['delivery', 'retry', 'up-to']) ? 'up-to' : 'every'
    problems.push(
      source.atValue(['delivery', 'retry', at], 'FLOW_VALUE', message, 'Make up-to at least as long as every.'),
    )
  }
  const { probe } = expect
  if (typeof probe === 'object' && probe.within !== undefined && probe.within > probe.every) {
    const message = `A probe would be sent (every ${formatDuration(probe.every)}) before the last one is due (within ${formatDuration(probe.within)}).`
    problems.push(
      source.atValue(['expect', 'probe', 'within'], 'FLOW_VALUE', message, 'Make within at most as long as every.'),
    )
  }
  return problems
}

/** What is right, but most likely not meant. */
export function doubts(document: FlowDocument, source: YamlSource, unused: readonly string[]): readonly Problem[] {
  const { delivery, expect, keep } = document
  const found: Problem[] = []
  for (const name of unused) {
    found.push(
      source.atKey(
        ['params', name],
        'FLOW_DOUBTFUL',
        `Nothing uses the parameter ${name}.`,
        `Write \${params.${name}} where it belongs, or remove it.`,
      ),
    )
  }
  const orderBy = delivery['order-by']
  const queues = [...queuesIn(document.steps, ['steps']), ...queuesIn(document.to, ['to'])]
  const { delivery: unsaid } = (document.from as LoadedFlow['from']).declaration
  if (!orderBy && unsaid?.['order-by'] === undefined) {
    for (const queue of queues) {
      const message = 'Messages of one queue can overtake each other before they are sent: the flow keeps no order.'
      const next = 'Say with delivery.order-by what the messages of a queue have in common.'
      found.push(source.atKey(queue, 'FLOW_DOUBTFUL', message, next))
    }
  }
  if (orderBy && !orderBy.dependsOnMessage && queues.length === 0) {
    const message = 'order-by is the same for every message, so they are delivered one after the other.'
    found.push(
      source.atValue(
        ['delivery', 'order-by'],
        'FLOW_DOUBTFUL',
        message,
        'Name what belongs together, for example message.from.',
      ),
    )
  }
  const everyMs = typeof probe(expect) === 'number' ? probe(expect) : undefined
  if (everyMs !== undefined && everyMs < MINUTE) {
    const at = typeof expect.probe === 'number' ? ['expect', 'probe'] : ['expect', 'probe', 'every']
    found.push(
      source.atValue(
        at,
        'FLOW_DOUBTFUL',
        `A probe every ${formatDuration(everyMs)} is a load of its own.`,
        'Probe every few minutes, for example 15m.',
      ),
    )
  }
  if (delivery['once-by'] && keep.delivered < DAY) {
    const message = `once-by remembers messages only as long as they are kept: ${formatDuration(keep.delivered)}.`
    found.push(
      source.atValue(['keep', 'delivered'], 'FLOW_DOUBTFUL', message, 'Keep delivered messages for a day or more.'),
    )
  }
  return found.map(problem => ({ ...problem, severity: 'warning' }))
}

/** The settings of receivers by which the other side keeps an order. */
function* queuesIn(value: unknown, path: Path): Generator<Path> {
  if (Array.isArray(value)) for (const [index, item] of value.entries()) yield* queuesIn(item, [...path, index])
  else if (isNode(value)) {
    const { declaration, config } = value
    const own = [...path, declaration.id]
    const name = 'orderedBy' in declaration ? declaration.orderedBy?.(config) : undefined
    if (name !== undefined) yield [...own, name]
    yield* queuesIn(config, own)
  } else if (isPlainObject(value)) {
    for (const [name, inner] of Object.entries(value)) yield* queuesIn(inner, [...path, name])
  }
}

/** Texts with \${…} that nothing fills in: the schema took them as they stand. */
export function unfilled(document: FlowDocument, source: YamlSource): readonly Problem[] {
  const found: Problem[] = []
  const compare = (written: unknown, read: unknown, path: Path): void => {
    if (typeof written === 'string' && written === read && /(?<!\$)\$\{/.test(written)) {
      const message = `${String(path.findLast(part => typeof part === 'string'))} takes plain text: nothing is filled in for \${…}.`
      const next = 'Only parameters can stand here, written ${params.name}.'
      found.push({ ...source.atValue(path, 'FLOW_DOUBTFUL', message, next), severity: 'warning' })
    } else if (Array.isArray(written) && Array.isArray(read)) {
      for (const [index, item] of written.entries()) compare(item, read[index], [...path, index])
    } else if (isPlainObject(written) && isNode(read)) {
      const { id } = read.declaration
      compare(written[id], read.config, [...path, id])
    } else if (isPlainObject(written) && isPlainObject(read)) {
      for (const [name, value] of Object.entries(written)) compare(value, read[name], [...path, name])
    }
  }
  const { declaration, config } = document.from as LoadedFlow['from']
  const written = isPlainObject(source.value) ? source.value : {}
  compare(written['from'], { [declaration.id]: config }, ['from'])
  compare(written['steps'], document.steps, ['steps'])
  compare(written['to'], document.to, ['to'])
  return found
}

function probe(expect: FlowDocument['expect']): number | undefined {
  return typeof expect.probe === 'object' ? expect.probe.every : expect.probe
}
