import type { Creation, Side, SideItem, Update, WriteOutcome } from '../drivers.ts'
import { type Stamps, stampsOf } from '../plan/stamps.ts'
import { waitingFor, writeBatch } from './batches.ts'
import { chunksOf, commonParts, otherSide } from './context.ts'
import { note, type Round, unseenOf } from './round-state.ts'
import type { Intent, Link, LinkEnd, Waiting } from './sync-store.ts'
import { intentKey } from './take-in.ts'

/** A link that was just made, with both items as they are now. */
interface Made {
  readonly link: Link
  readonly source: SideItem
}

/**
 * Creates the other halves of items. The intent is durable before the request leaves; the link, when its answer is there.
 * What happens in between is found again by the mark.
 */
export async function createItems(
  round: Round,
  side: Side,
  sources: readonly SideItem[],
  waiting: ReadonlyMap<string, Waiting>,
): Promise<void> {
  const { drivers, scope } = round.context
  const to = otherSide(side)
  for (const batch of chunksOf(sources, drivers[to].abilities(scope.kind).batch.write)) {
    const made = await createBatch(round, side, batch, waiting)
    await writeMarks(round, side, made)
  }
}

async function createBatch(
  round: Round,
  side: Side,
  sources: readonly SideItem[],
  waiting: ReadonlyMap<string, Waiting>,
): Promise<readonly Made[]> {
  const { drivers, scope, store, signal } = round.context
  const to = otherSide(side)
  const intents = sources.map(source => intentOf(round, side, source))
  await store.write(scope, { putIntents: intents })
  const outcomes = await writeBatch(round, to, [...sources.entries()], batch =>
    drivers[to].create(
      scope,
      batch.map(([index, source]) => creationOf(round, side, source, intents[index])),
      signal,
    ),
  )
  const made: Made[] = []
  const dropWaiting: { side: Side; id: string }[] = []
  const putWaiting: Waiting[] = []
  for (const [index, source] of sources.entries()) {
    const outcome = outcomes[index]
    const intent = intents[index]
    if (!outcome || !intent) continue
    if (outcome.state === 'done') {
      made.push({ link: linkOf(round, side, source, outcome, intent.base), source })
      // What it is after its creation, the next round finds out (a series, whose occurrences are made then).
      if (outcome.version === '') round.report.isUnfinished = true
      if (waiting.has(source.id)) dropWaiting.push({ side, id: source.id })
      round.report.created[to] += 1
      note(round, 'created', to, { [side]: source }, { otherId: outcome.id })
    } else {
      round.report.refused += 1
      const item = { side, id: source.id, version: source.version }
      putWaiting.push(waitingFor(round, item, outcome.error, waiting.get(source.id)))
      note(round, 'refused', to, { [side]: source }, { error: outcome.error })
    }
  }
  const dropIntents = intents.map(intent => intent.key)
  const putLinks = made.map(({ link }) => link)
  const putUnseen = putLinks.flatMap(link => unseenOf(round, link))
  await store.write(scope, { putLinks, putUnseen, dropIntents, putWaiting, dropWaiting })
  return made
}

/** Where the one of the two has to carry a mark that could not be written with the create, it gets it now. */
async function writeMarks(round: Round, side: Side, made: readonly Made[]): Promise<void> {
  const { drivers, scope, store, signal } = round.context
  const missing = made.flatMap(({ link, source }) => {
    const mark = markOfSource(round, side, source, link)
    return mark === undefined || source.mark === mark ? [] : [{ link, source, mark }]
  })
  if (missing.length === 0) return
  const links: Link[] = []
  for (const batch of chunksOf(missing, drivers[side].abilities(scope.kind).batch.write)) {
    const outcomes = await writeBatch(round, side, batch, part =>
      drivers[side].update(
        scope,
        part.map(({ source, mark }): Update => {
          const { id, version, item } = source
          return { id, version, before: item, after: item, fields: [], mark }
        }),
        signal,
      ),
    )
    for (const [index, { link }] of batch.entries()) {
      const outcome = outcomes[index]
      if (outcome?.state === 'done') {
        links.push({
          ...link,
          [side]: { ...link[side], id: outcome.id, version: outcome.version },
          isDirty: link[otherSide(side)].version === '',
        })
      } else round.report.isUnfinished = true
    }
  }
  await store.write(scope, { putLinks: links })
}

function intentOf(round: Round, side: Side, source: SideItem): Intent {
  const to = otherSide(side)
  const { id, version, identity } = source
  return {
    key: intentKey(to, id),
    to,
    source: { id, version, identity },
    mark: markOfCopy(round, side, source),
    base: stampsOf(commonParts(round.plan, source.item)),
    at: round.context.clock.now(),
  }
}

function creationOf(round: Round, side: Side, source: SideItem, intent: Intent | undefined): Creation {
  const { drivers, scope, signal } = round.context
  return {
    key: `${scope.organization} ${scope.mailbox} ${scope.kind} ${intent?.key ?? source.id}`,
    mark: intent?.mark ?? null,
    item: source.item,
    openAttachment: attachment => {
      const open = drivers[side].openAttachment
      return open ? open.call(drivers[side], scope, source.id, attachment, signal) : nothing()
    },
  }
}

/** The mark that the new item gets with its create. */
function markOfCopy({ context: { drivers, scope } }: Round, side: Side, source: SideItem): string | null {
  const { holdsMark } = drivers[otherSide(side)].abilities(scope.kind)
  if (!holdsMark) return null
  return side === 'exchange' ? source.identity : source.id
}

/** The mark that the source needs: in the CRM the identity of the new item, in the mailbox the id where the CRM has none. */
function markOfSource(round: Round, side: Side, source: SideItem, link: Link): string | undefined {
  const isMarkedInCrm = round.plan.crmHoldsMark && link.exchange.identity !== null
  if (side === 'crm') return isMarkedInCrm ? (link.exchange.identity ?? undefined) : undefined
  // A copy of a marked appointment is its own item from now on: the mark of its original must go.
  return isMarkedInCrm && source.mark === null ? undefined : link.crm.id
}

function linkOf(
  round: Round,
  side: Side,
  source: SideItem,
  { id, version, identity }: Extract<WriteOutcome, { state: 'done' }>,
  base: Stamps,
): Link {
  const own: LinkEnd = { id: source.id, version: source.version, identity: source.identity }
  const other: LinkEnd = { id, version, identity }
  const ends = side === 'exchange' ? { exchange: own, crm: other } : { exchange: other, crm: own }
  const link = { key: round.context.newKey(), ...ends, base, pending: { exchange: {}, crm: {} } }
  const role = 'lead' as const
  const settled: Link = { ...link, role, held: undefined, isDirty: false }
  const mark = markOfSource(round, side, source, settled)
  return { ...settled, isDirty: version === '' || (mark !== undefined && source.mark !== mark) }
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // A side without attachments has none to hand over.
}
