import { isDeepStrictEqual } from 'node:util'
import { HubError } from '../kernel/error.ts'
import { MiB } from '../kernel/size.ts'
import { C4CClient, type C4CRow, type C4CStep, changedSince, equals } from '../protocols/c4c/client.ts'
import { c4cErrors } from '../protocols/c4c/errors.ts'
import type { C4CEntity } from '../protocols/c4c/types.ts'
import type { ExchangeOptions } from '../protocols/odata/exchange.ts'
import { Access, concernOf, readableMs } from './c4c/access.ts'
import { type C4CCodes, deliveredCodes } from './c4c/codes.ts'
import { fileBytes, filesOf, filesRefusal, withFiles } from './c4c/files.ts'
import { findMarked } from './c4c/find-marked.ts'
import {
  changeValues,
  creationValues,
  entitiesOf,
  entityOf,
  isOwned,
  normalise,
  ownerField,
  partsOf,
  readItem,
  type VisitsOf,
} from './c4c/kinds.ts'
import { type Asked, type Listed, listAll, listChanged } from './c4c/listing.ts'
import { People } from './c4c/people.ts'
import { idOf, isAlike, isOrganizer, placeOf, titleOf, windowFilter } from './c4c/places.ts'
import { ContactBook } from './c4c/relations.ts'
import { rowsBelow } from './c4c/rows-below.ts'
import { type C4CSeries, etagOf, headIdOf, isSeries, seriesLimits, seriesOf } from './c4c/series.ts'
import { SeriesBook } from './c4c/series-book.ts'
import { msAt, textAt } from './c4c/values.ts'
import type {
  Abilities,
  Change,
  ChangePage,
  CreateOutcome,
  Creation,
  FeedPage,
  Removal,
  Scope,
  ScopeCheck,
  SideDriver,
  SideItem,
  Update,
  WriteOutcome,
} from './drivers.ts'
import type { Attachment, Item, ItemKind } from './plan/items.ts'
import { sendApart } from './send-apart.ts'
import { askSince, watermarkLimits, watermarkToken } from './sync/watermark.ts'

export interface C4CDriverOptions extends ExchangeOptions {
  /** Codes of the tenant where it has changed those that SAP delivers. */
  readonly codes?: Partial<C4CCodes> | undefined
  /** Whose calendar visits are for; left out: they are not synced. */
  readonly visits?: VisitsOf
  /** How late a change may show in EntityLastChangedOn. */
  readonly overlapMs?: number | undefined
}

export const c4cDriverLimits = {
  /** Entities of one request that reads, writes or finds. */
  batch: 50,
  /** For so long it is remembered that the technical user may read a set. */
  readableMs,
  /** Occurrences of one series that stand there at the same time. */
  occurrences: seriesLimits.occurrences,
  /** Files of one mail together; they travel in one request. */
  attachmentBytes: 10 * MiB,
  /** With so many bytes of files a request is full; the mail that fills it goes along whole. */
  requestBytes: 8 * MiB,
} as const

/** Makes the CRM side over the OData service of SAP Cloud for Customer, with a technical user: one for all employees. */
export function makeC4CDriver(options: C4CDriverOptions): SideDriver {
  return new C4CDriver(options)
}

class C4CDriver implements SideDriver {
  readonly side = 'crm'
  readonly sharesRequests = true
  readonly refusal = (item: Item) => filesRefusal(item, c4cDriverLimits.attachmentBytes)
  readonly #client: C4CClient
  readonly #codes: C4CCodes
  readonly #visits: VisitsOf
  readonly #overlapMs: number
  readonly #now: () => number
  readonly #people: People
  readonly #series: SeriesBook
  readonly #access: Access
  readonly #contacts: ContactBook

  constructor(options: C4CDriverOptions) {
    this.#client = new C4CClient(options)
    this.#codes = { ...deliveredCodes, ...options.codes }
    this.#visits = options.visits
    this.#overlapMs = options.overlapMs ?? watermarkLimits.overlapMs
    this.#now = options.now
    this.#people = new People(this.#client, options.now)
    this.#access = new Access(this.#client, this.#people, options.visits, options.now)
    this.#series = new SeriesBook(this.#client, this.#codes, options.now)
    this.#contacts = new ContactBook(this.#client, options.now)
  }

  abilities(kind: ItemKind): Abilities {
    const { batch: count } = c4cDriverLimits
    const batch = { read: count, write: count, find: count }
    const holdsMark = kind === 'appointment' || kind === 'mail'
    const extent = kind === 'appointment' && this.#visits !== undefined ? `visits of ${this.#visits}` : ''
    return { holds: true, holdsMark, tellsDeletions: false, holdsSeries: true, extent, batch }
  }

  normalise(item: Item): Item {
    return normalise(item)
  }

  async changes(scope: Scope, token: string | undefined, signal: AbortSignal): Promise<ChangePage | 'token-lost'> {
    const askedAt = this.#now()
    const since = askSince(token, this.#overlapMs)
    if (since !== undefined && Number.isNaN(since)) return 'token-lost'
    const asked: Asked[] = []
    for (const entity of entitiesOf(scope.kind, this.#visits)) {
      const more = since === undefined ? windowFilter(entity, scope) : [changedSince(since)]
      const filter = [await this.#ownerFilter(entity, scope, signal), ...more].join(' and ')
      asked.push({ entity, filter, owner: ownerField(entity, this.#visits)[0] })
    }
    const listed = await (since === undefined ? listAll : listChanged)(this.#client, asked, signal)
    const changes = listed.map(each => this.#change(each))
    return { changes, token: watermarkToken(this.#client.timeOf(askedAt)), hasMore: false }
  }

  async feed(
    _organization: string,
    kind: ItemKind,
    token: string | undefined,
    signal: AbortSignal,
    isBrief = false,
  ): Promise<FeedPage> {
    const askedAt = this.#now()
    const since = askSince(token, this.#overlapMs) ?? 0
    const addresses = await this.#people.addresses(signal)
    const changes: Change[] = []
    const owners: (readonly string[])[] = []
    const entities = entitiesOf(kind, this.#visits)
    const ownerOf = (entity: C4CEntity) => ownerField(entity, this.#visits)[0]
    const asked = entities.map(entity => ({ entity, filter: changedSince(since), owner: ownerOf(entity) }))
    for (const listed of await listChanged(this.#client, asked, signal, isBrief)) {
      const address = addresses.get(textAt(listed.row.values, ownerOf(listed.entity)))
      changes.push(this.#change(listed))
      owners.push(address === undefined ? [] : [address])
    }
    return { changes, owners, token: watermarkToken(this.#client.timeOf(askedAt)), hasMore: false }
  }

  check(scopes: readonly Scope[], signal: AbortSignal): Promise<readonly ScopeCheck[]> {
    return this.#access.check(scopes, signal)
  }

  async keys(scope: Scope, signal: AbortSignal): Promise<ReadonlySet<string>> {
    const keys = new Set<string>()
    for (const entity of entitiesOf(scope.kind, this.#visits)) {
      const owner = await this.#ownerFilter(entity, scope, signal)
      for (const id of await this.#keysOf(entity, owner, signal)) keys.add(idOf(entity, id))
    }
    return keys
  }

  async allKeys(_organization: string, kind: ItemKind, signal: AbortSignal): Promise<ReadonlySet<string>> {
    const keys = new Set<string>()
    for (const entity of entitiesOf(kind, this.#visits)) {
      for (const id of await this.#keysOf(entity, undefined, signal)) keys.add(idOf(entity, id))
    }
    return keys
  }

  async read(scope: Scope, ids: readonly string[], signal: AbortSignal): Promise<readonly (SideItem | undefined)[]> {
    const places = ids.map(id => placeOf(scope.kind, id))
    const steps = places.map(({ entity, id }): C4CStep => ({ read: { entity, id, expand: partsOf(entity) } }))
    const rows = (await this.#client.run(steps, signal)).map(row => {
      if (row instanceof HubError) throw row
      return row
    })
    const entities = places.map(({ entity }) => entity)
    const whole = scope.kind === 'mail' ? await withFiles(this.#client, rows, signal) : rows
    return this.#items(scope, entities, whole, signal)
  }

  async findByMark(
    scope: Scope,
    marks: readonly string[],
    signal: AbortSignal,
    likely: readonly Item[] = [],
  ): Promise<readonly (readonly SideItem[])[]> {
    if (!this.abilities(scope.kind).holdsMark) return marks.map(() => [])
    const entities = entitiesOf(scope.kind, this.#visits)
    const addresses = this.#contacts.missing(likely, scope.mailbox)
    const along = { contacts: this.#contacts, addresses }
    const found = await findMarked(this.#client, { entities, marks }, along, signal)
    const items = await this.#items(
      scope,
      found.map(({ entity }) => entity),
      found.map(({ row }) => row),
      signal,
    )
    return marks.map(mark => items.filter(item => item?.mark === mark).flatMap(item => item ?? []))
  }

  async findByIdentity(scope: Scope, identities: readonly string[], signal: AbortSignal) {
    const found = await this.read(scope, identities, signal)
    return found.map(item => (item ? [item] : []))
  }

  async findAlike(scope: Scope, item: Item, since: number, signal: AbortSignal): Promise<readonly SideItem[]> {
    const entity = entityOf(item, this.#visits)
    const wanted = normalise(item)
    const [property, text] = titleOf(wanted)
    const owner = await this.#ownerFilter(entity, scope, signal)
    const filter = `${owner} and ${equals(property, text)} and ${changedSince(this.#client.timeOf(since) - this.#overlapMs)}`
    const [rows = []] = await this.#client.find(entity, [{ filter, expand: partsOf(entity) }], signal)
    return rows.map(row => this.#item(entity, row)).filter(found => isAlike(normalise(found.item), wanted))
  }

  async create(scope: Scope, items: readonly Creation[], signal: AbortSignal): Promise<readonly CreateOutcome[]> {
    const owner = await this.#people.employee(scope.owner, signal)
    const relations = await this.#contacts.relate(
      items.map(({ item }) => item),
      scope.mailbox,
      signal,
    )
    const outcomes: CreateOutcome[] = []
    const steps: { readonly step: C4CStep; readonly index: number; readonly entity: C4CEntity }[] = []
    let bytes = 0
    const send = async () => {
      const sent = steps.splice(0)
      bytes = 0
      const rows = await sendApart(
        sent.map(({ step }) => step),
        some => this.#client.run(some, signal),
        error => this.concerns(error) === 'item',
      )
      for (const [at, { index, entity }] of sent.entries()) {
        const row = rows[at]
        if (row instanceof HubError) {
          if (this.concerns(row) !== 'item') throw row
          outcomes[index] = { state: 'refused', error: row }
        } else if (row) outcomes[index] = this.#made(scope, entity, row, items[index]?.item)
        else throw c4cErrors.OUTCOME_UNKNOWN({ path: entity, reason: 'what was created did not come back' })
      }
    }
    for (const [index, creation] of items.entries()) {
      const { item, mark } = creation
      const entity = entityOf(item, this.#visits)
      try {
        const files = await filesOf(creation, c4cDriverLimits.attachmentBytes)
        const marked = mark !== null && this.abilities(item.kind).holdsMark ? { GroupwareItemID: mark } : {}
        const body = { ...creationValues(item, entity, owner, files, this.#codes), ...relations[index], ...marked }
        steps.push({ step: { write: [{ kind: 'create', entity, body }] }, index, entity })
        for (const { Binary } of files) bytes += String(Binary).length
      } catch (thrown) {
        if (!(thrown instanceof HubError) || this.concerns(thrown) !== 'item') throw thrown
        outcomes[index] = { state: 'refused', error: thrown }
      }
      // Files of many mails in one request are more than memory and the service take.
      if (bytes >= c4cDriverLimits.requestBytes) await send()
    }
    await send()
    return outcomes
  }

  async update(scope: Scope, changes: readonly Update[], signal: AbortSignal): Promise<readonly WriteOutcome[]> {
    const places = changes.map(({ id }) => placeOf(scope.kind, id))
    const rows = await rowsBelow(this.#client, changes, places, signal)
    const series = scope.kind === 'appointment' ? await this.#series.load(scope, [...rows.values()], signal) : undefined
    const becoming = await this.#series.becoming(scope, changes, rows, signal)
    const outcomes: WriteOutcome[] = []
    const steps: C4CStep[] = []
    const written: number[] = []
    for (const [index, change] of changes.entries()) {
      const place = places[index]
      if (!place) continue
      const row = rows.get(index)
      const known = row && series?.get(row.id)
      const version = known ? this.#series.facts(scope, known).version : row?.etag
      // What stands below is changed by what was read there: it must be what the sync has read.
      if (version !== undefined && version !== change.version) outcomes[index] = { state: 'conflict' }
      else {
        const { values, below } = this.#changeOf(scope, change, row, known ?? becoming.get(row?.id ?? ''))
        const isMarked = change.mark !== undefined && this.abilities(scope.kind).holdsMark
        const body = { ...values, ...(isMarked && { GroupwareItemID: change.mark ?? '' }) }
        const { entity, id } = place
        steps.push({ write: [{ kind: 'update', entity, id, etag: etagOf(change.version), body }, ...below] })
        steps.push({ read: { entity, id, expand: partsOf(entity) } })
        written.push(index)
      }
    }
    const answers = await this.#client.run(steps, signal)
    const read = written.map((_, at) => {
      const row = answers[2 * at + 1]
      return row instanceof HubError ? undefined : row
    })
    const entities = written.map(index => places[index]?.entity ?? 'Appointment')
    const items = await this.#items(scope, entities, read, signal)
    for (const [at, index] of written.entries()) {
      const change = changes[index]
      const answer = answers[2 * at]
      if (!change) continue
      outcomes[index] = answer instanceof HubError ? this.#failed(answer) : this.#done(change, items[at])
    }
    return outcomes
  }

  async remove(scope: Scope, items: readonly Removal[], signal: AbortSignal): Promise<readonly WriteOutcome[]> {
    // With a series its occurrences go.
    const mayBeSeries = ({ id, version }: Removal) =>
      placeOf(scope.kind, id).entity === 'Appointment' && (version === '' || etagOf(version) !== version)
    const series = items.filter(mayBeSeries).map(({ id }) => id)
    const below = await this.#series.removals(series, signal)
    const steps = items.map(({ id, version }): C4CStep => {
      const place = placeOf(scope.kind, id)
      const etag = version === '' ? undefined : etagOf(version)
      return { write: [{ kind: 'remove', entity: place.entity, id: place.id, etag }, ...(below.get(id) ?? [])] }
    })
    return (await this.#client.run(steps, signal)).map((answer, index): WriteOutcome => {
      const done: WriteOutcome = { state: 'done', id: items[index]?.id ?? '', version: '', identity: null }
      if (!(answer instanceof HubError) || answer.code === c4cErrors.GONE.code) return done
      return this.#failed(answer)
    })
  }

  async sweep({ kind }: Scope, ids: readonly string[], signal: AbortSignal): Promise<void> {
    if (kind !== 'appointment') return
    const appointments = ids.filter(id => placeOf(kind, id).entity === 'Appointment')
    const removals = await this.#series.removals(appointments, signal)
    const steps = [...removals.values()].flatMap((write): C4CStep[] => (write.length > 0 ? [{ write }] : []))
    await this.#client.run(steps, signal)
  }

  async *openAttachment(_scope: Scope, _id: string, attachment: Attachment, signal: AbortSignal) {
    yield await fileBytes(this.#client, attachment, signal)
  }

  concerns(error: HubError) {
    return concernOf(error)
  }

  /** After a change nobody else may have come in between: only what is as it was written is known by its version. */
  #done({ id, after }: Update, read: SideItem | undefined): WriteOutcome {
    const isOurs = read !== undefined && isDeepStrictEqual(normalise(read.item), normalise(after))
    return { state: 'done', id, version: isOurs ? read.version : '', identity: id }
  }

  #made({ series }: Scope, entity: C4CEntity, { id: bare, etag }: C4CRow, item: Item | undefined): CreateOutcome {
    const id = idOf(entity, bare)
    // The occurrences of a series are made with its next writing: what it is then is not known yet.
    const isSpread = series?.as === 'occurrences' && item?.kind === 'appointment' && item.recurrence !== null
    return { state: 'done', id, version: isSpread ? '' : etag, identity: id }
  }

  #changeOf(scope: Scope, { after, before, fields }: Update, row: C4CRow | undefined, known: C4CSeries | undefined) {
    const names = new Set(fields)
    const { values, below } = changeValues(row, { before, after }, names, this.#codes)
    const isSeries =
      after.kind === 'appointment' && before.kind === 'appointment' && (after.recurrence ?? before.recurrence)
    if (!isSeries || !row || after.kind !== 'appointment' || after.activity === 'visit') return { values, below }
    return { values, below: [...below, ...this.#series.writes(scope, after, known ?? seriesOf(row, []), names)] }
  }

  #keysOf(entity: C4CEntity, filter: string | undefined, signal: AbortSignal): Promise<ReadonlySet<string>> {
    return entity === 'Appointment' ? this.#series.keys(filter, signal) : this.#client.keys(entity, filter, signal)
  }

  #failed(error: HubError): WriteOutcome {
    if (error.code === c4cErrors.CHANGED_MEANWHILE.code) return { state: 'conflict' }
    if (error.code === c4cErrors.GONE.code) return { state: 'gone' }
    if (this.concerns(error) !== 'item') throw error
    return { state: 'refused', error }
  }

  async #ownerFilter(entity: C4CEntity, scope: Scope, signal: AbortSignal): Promise<string> {
    const [property, number] = ownerField(entity, this.#visits)
    return equals(property, (await this.#people.employee(scope.owner, signal))[number])
  }

  #change({ entity, row, isWhole }: Listed): Change {
    const { id, etag } = row
    const series =
      entity === 'Appointment' ? (headIdOf(row) ?? (isSeries(row, this.#codes) ? id : undefined)) : undefined
    // Its occurrences belong to it: reading them says what it is.
    if (series !== undefined) return { id: series, isDeleted: false }
    if (!isWhole) return { id: idOf(entity, id), isDeleted: false, ...(etag !== '' && { version: etag }) }
    const item = this.#item(entity, row)
    return { id: item.id, isDeleted: false, version: item.version, item }
  }

  /** Rows of these sets as items; an occurrence of a series is none of its own. */
  async #items(
    scope: Scope,
    entities: readonly C4CEntity[],
    rows: readonly (C4CRow | undefined)[],
    signal: AbortSignal,
  ): Promise<readonly (SideItem | undefined)[]> {
    const found = scope.kind === 'appointment' ? rows.flatMap(row => row ?? []) : []
    const series = await this.#series.load(scope, found, signal)
    // Without an employee nobody can say whose they are.
    const person = await this.#people.employee(scope.owner, signal).catch(() => undefined)
    return rows.map((row, index) => {
      const entity = entities[index]
      if (!row || !entity || (entity === 'Appointment' && headIdOf(row) !== undefined)) return undefined
      const known = series.get(row.id)
      const read = this.#item(entity, row)
      // An attendee whose mailbox brought a meeting may be its owner there; it is its organizer's all the same.
      const isOwn = isOrganizer(read.item, scope) || !person || isOwned(entity, row, person, this.#visits)
      const item = isOwn ? read : { ...read, isOthers: true }
      return known && entity === 'Appointment' ? { ...item, ...this.#series.facts(scope, known) } : item
    })
  }

  #item(entity: C4CEntity, row: C4CRow): SideItem {
    const id = idOf(entity, row.id)
    const mark = textAt(row.values, 'GroupwareItemID')
    return {
      id,
      version: row.etag,
      identity: id,
      mark: mark === '' ? null : mark,
      modifiedAt: msAt(row.values, 'EntityLastChangedOn'),
      folder: null,
      item: readItem(entity, row, this.#codes),
    }
  }
}
