import { HubError } from '../../kernel/error.ts'
import { MiB } from '../../kernel/size.ts'
import { type NewAttachment, writeAttachments } from '../../protocols/ews/attachments.ts'
import type { At, EwsClient } from '../../protocols/ews/client.ts'
import { ewsErrors } from '../../protocols/ews/errors.ts'
import type { FieldChange } from '../../protocols/ews/fields.ts'
import type { ItemRef, ItemUpdate, NewItem, StoredRef } from '../../protocols/ews/items.ts'
import type { CreateOutcome, Creation, Scope, SideItem, Update, WriteOutcome } from '../drivers.ts'
import { changesTexts, laggingTexts } from '../lagging-texts.ts'
import type { Appointment, Item, Moment } from '../plan/items.ts'
import { sendApart } from '../send-apart.ts'
import { instancesOf, writeException, writeTexts } from './appointment.ts'
import { concernOf } from './concerns.ts'
import type { ScopeFolder } from './folder-book.ts'
import { kindFacts, writeParts } from './kinds.ts'
import { categoriesField, field, markProperty, property, unfinishedProperty, valueField } from './parts.ts'

/** Bytes of all attachments of one new item; Exchange takes requests of 35 MB, and base64 grows by a third. */
const attachmentBytesMax = 20 * MiB
/** With so many bytes of files a request is full; the mail that fills it goes along whole. */
const requestBytes = 8 * MiB

/** A new item on its way, and what it will be known by in every mailbox. */
interface Fresh {
  readonly index: number
  readonly item: NewItem
  readonly identity: string | null
  /** Of its files. */
  readonly bytes: number
}

type Read = (scope: Scope, ids: readonly string[], signal: AbortSignal) => Promise<readonly (SideItem | undefined)[]>

/** Writes items. Nobody else hears of it: edits made for the CRM send no invitations. */
export class EwsWriter {
  readonly #client: EwsClient
  readonly #markCategory: string
  readonly #read: Read

  constructor(client: EwsClient, markCategory: string, read: Read) {
    this.#client = client
    this.#markCategory = markCategory
    this.#read = read
  }

  async create(
    scope: Scope,
    folders: readonly ScopeFolder[],
    items: readonly Creation[],
    signal: AbortSignal,
  ): Promise<readonly CreateOutcome[]> {
    const at = { mailbox: scope.mailbox, signal }
    const outcomes: (CreateOutcome | undefined)[] = items.map(() => undefined)
    for (const { folderId, indexes } of byFolder(items, folders)) {
      const fresh: Fresh[] = []
      let bytes = 0
      const send = async () => {
        const sent = fresh.splice(0)
        bytes = 0
        if (sent.length === 0) return
        const answers = await sendApart(
          sent.map(each => each.item),
          some => this.#client.createItems(at, { id: folderId }, some),
          error => concernOf(error) === 'item',
        )
        for (const [row, answer] of answers.entries()) {
          const index = sent[row]?.index ?? 0
          const creation = items[index]
          if (answer instanceof HubError) outcomes[index] = { state: 'refused', error: itemErrorOrThrow(answer) }
          else if (creation) outcomes[index] = await this.#finish(at, creation, answer, sent[row]?.identity ?? null)
        }
      }
      for (const index of indexes) {
        const creation = items[index]
        if (!creation) continue
        try {
          const made = await this.#newItem(creation)
          fresh.push({ index, ...made })
          bytes += made.bytes
        } catch (thrown) {
          outcomes[index] = { state: 'refused', error: itemErrorOrThrow(thrown) }
        }
        // Files of many mails in one request are more than memory and the server take.
        if (bytes >= requestBytes) await send()
      }
      await send()
    }
    return outcomes.map(
      outcome => outcome ?? { state: 'refused', error: ewsErrors.ITEM_UNFIT({ reason: 'it has no folder' }) },
    )
  }

  async #newItem({ item, mark, openAttachment }: Creation): Promise<Omit<Fresh, 'index'>> {
    const parts: FieldChange[] = [...writeParts(this.#withCategory(item, mark !== null), 'all')]
    if (mark !== null) parts.push(property(markProperty, mark))
    // Given by us, the UID is known without asking for it.
    const uid = item.kind === 'appointment' ? crypto.randomUUID().toUpperCase() : undefined
    if (uid !== undefined) parts.push(valueField('UID', uid))
    if (hasExceptions(item)) parts.push(property(unfinishedProperty, '1'))
    const files: NewAttachment[] = []
    let bytes = 0
    for (const attachment of 'attachments' in item ? item.attachments : []) {
      const chunks: Uint8Array[] = []
      for await (const chunk of openAttachment(attachment)) {
        bytes += chunk.length
        if (bytes > attachmentBytesMax) {
          throw ewsErrors.ITEM_UNFIT({ reason: `its attachments are larger than ${attachmentBytesMax} bytes` })
        }
        chunks.push(chunk)
      }
      const { name, type, isInline } = attachment
      files.push({ name, type, isInline, content: Buffer.concat(chunks) })
    }
    if (files.length > 0) parts.push(field('Attachments', writeAttachments(files)))
    const identity = uid ?? (item.kind === 'mail' && item.messageId !== '' ? item.messageId : null)
    return { item: { itemClass: kindFacts[item.kind].itemClass, parts }, identity, bytes }
  }

  /** What a series has beside its pattern is written to its occurrences, then the series counts as whole. */
  async #finish(
    at: At,
    { item }: Creation,
    { id, changeKey }: StoredRef,
    identity: string | null,
  ): Promise<CreateOutcome> {
    if (item.kind !== 'appointment' || !hasExceptions(item)) return { state: 'done', id, version: changeKey, identity }
    try {
      await this.#writeExceptions(at, id, item, Object.keys(item.exceptions))
      const changes = [property(unfinishedProperty, undefined)]
      const ref = { id, changeKey: await this.#changeKey(at, id) }
      const [done] = await this.#client.updateItems(at, [{ ref, itemClass: 'CalendarItem', changes }])
      if (!done) throw ewsErrors.ANSWER_ODD({ server: this.#client.server, reason: 'an update has no answer' })
      if (done instanceof HubError) throw done
      return { state: 'done', id, version: done.changeKey, identity }
    } catch (thrown) {
      const error = itemErrorOrThrow(thrown)
      // Nobody may finish it, and people would see it. What cannot be deleted now, the next attempt clears away.
      await this.#client.deleteItems(at, [{ id }])
      return { state: 'refused', error }
    }
  }

  async update(scope: Scope, changes: readonly Update[], signal: AbortSignal): Promise<readonly WriteOutcome[]> {
    const at = { mailbox: scope.mailbox, signal }
    const outcomes: (WriteOutcome | undefined)[] = changes.map(() => undefined)
    const sent: { readonly index: number; readonly update: ItemUpdate }[] = []
    for (const [index, change] of changes.entries()) {
      try {
        const parts = this.#changedParts(change)
        const ref = { id: change.id, changeKey: change.version }
        const itemClass = kindFacts[change.after.kind].itemClass
        // An update without any part is refused by the schema.
        if (parts.length > 0) sent.push({ index, update: { ref, itemClass, changes: parts } })
        else outcomes[index] = { state: 'done', id: change.id, version: change.version, identity: null }
      } catch (thrown) {
        outcomes[index] = { state: 'refused', error: itemErrorOrThrow(thrown) }
      }
    }
    const answers =
      sent.length === 0
        ? []
        : await this.#client.updateItems(
            at,
            sent.map(each => each.update),
          )
    for (const [row, answer] of answers.entries()) {
      const index = sent[row]?.index ?? 0
      outcomes[index] =
        answer instanceof HubError
          ? outcomeOf(answer)
          : { state: 'done', id: answer.id, version: answer.changeKey, identity: null }
    }
    for (const [index, change] of changes.entries()) {
      const outcome = outcomes[index]
      if (outcome?.state !== 'done') continue
      try {
        outcomes[index] = await this.#updateSeries(scope, at, change, outcome)
      } catch (thrown) {
        outcomes[index] = { state: 'refused', error: itemErrorOrThrow(thrown) }
      }
    }
    return outcomes.map(outcome => outcome ?? { state: 'conflict' })
  }

  /** The fields that differ, and the mark with its category. */
  #changedParts({ before, after, fields, mark }: Update): readonly FieldChange[] {
    const names = new Set(fields)
    if (needsNewPattern(before, after, names)) names.add('recurrence')
    const categories = new Set(after.categories)
    const hadCategory = before.categories.includes(this.#markCategory)
    const wantsCategory = mark === undefined ? hadCategory : mark !== null
    if (wantsCategory) categories.add(this.#markCategory)
    else categories.delete(this.#markCategory)
    const parts = changedParts(before, after, names)
    const isOther = names.has('categories') || wantsCategory !== hadCategory
    return [
      ...parts,
      ...(isOther ? [categoriesField([...categories])] : []),
      ...(mark === undefined ? [] : [property(markProperty, mark ?? undefined)]),
    ]
  }

  async #updateSeries(
    scope: Scope,
    at: At,
    { before, after, fields }: Update,
    done: Extract<WriteOutcome, { state: 'done' }>,
  ): Promise<WriteOutcome> {
    if (after.kind !== 'appointment' || before.kind !== 'appointment' || !after.recurrence) return done
    const names = new Set(fields)
    const isNewPattern = needsNewPattern(before, after, names) || whenFields.some(name => names.has(name))
    const differing = Object.keys(
      isNewPattern ? after.exceptions : { ...before.exceptions, ...after.exceptions },
    ).filter(
      original =>
        isNewPattern || JSON.stringify(before.exceptions[original]) !== JSON.stringify(after.exceptions[original]),
    )
    await this.#writeExceptions(at, done.id, after, differing, isNewPattern ? {} : before.exceptions)
    const haveFollowed = changesTexts({ fields, after }) && (await this.#followTexts(scope, at, done.id, before, after))
    return differing.length > 0 || haveFollowed ? { ...done, version: await this.#changeKey(at, done.id) } : done
  }

  /** Has occurrences that differ say what their series says now. Returns whether there were any to be written. */
  async #followTexts(scope: Scope, at: At, id: string, before: Appointment, after: Appointment): Promise<boolean> {
    const [now] = await this.#read(scope, [id], at.signal)
    if (now?.item.kind !== 'appointment') return false
    const lagging = laggingTexts({ before, after }, now.item)
    const instances = instancesOf(after, [...lagging.keys()])
    const updates = [...lagging].flatMap(([original, names]): readonly ItemUpdate[] => {
      const instance = instances.get(original)
      if (instance === undefined) return []
      return [{ ref: { masterId: id, instance }, itemClass: 'CalendarItem', changes: writeTexts(after, names) }]
    })
    if (updates.length === 0) return false
    refuseUnlessGone(await this.#client.updateItems(at, updates))
    return true
  }

  async #writeExceptions(
    at: At,
    masterId: string,
    item: Appointment,
    originals: readonly Moment[],
    before: Appointment['exceptions'] = {},
  ): Promise<void> {
    const instances = instancesOf(item, originals)
    const updates: ItemUpdate[] = []
    const deletions: ItemRef[] = []
    for (const original of originals) {
      const instance = instances.get(original)
      // An exception of an occurrence that the pattern does not have says nothing.
      if (instance === undefined) continue
      const exception = item.exceptions[original] ?? {}
      const ref = { masterId, instance }
      if (exception.isDeleted) deletions.push(ref)
      else {
        const changes = writeException(item, original, exception, before[original])
        updates.push({ ref, itemClass: 'CalendarItem', changes })
      }
    }
    const answers = [
      ...(updates.length > 0 ? await this.#client.updateItems(at, updates) : []),
      ...(deletions.length > 0 ? await this.#client.deleteItems(at, deletions) : []),
    ]
    refuseUnlessGone(answers)
  }

  async #changeKey(at: At, id: string): Promise<string> {
    const [stored] = await this.#client.getItems(at, [{ id }], { itemClass: 'CalendarItem', fields: [] })
    if (!stored || stored instanceof HubError)
      throw stored ?? ewsErrors.ITEM_GONE({ mailbox: at.mailbox, code: 'ErrorItemNotFound' })
    return stored.changeKey
  }

  #withCategory<I extends Item>(item: I, isMarked: boolean): I {
    if (!isMarked || item.categories.includes(this.#markCategory)) return item
    return { ...item, categories: [...item.categories, this.#markCategory] }
  }
}

const whenFields = ['start', 'end', 'isAllDay', 'zone', 'recurrence'] as const

/**
 * What is written for fields that were changed. Of an address only what differs: a street may have lines, which are read
 * as one. A task that is made anew when it is done, which no item says, stays so until somebody says how it repeats.
 */
function changedParts(before: Item, after: Item, names: ReadonlySet<string>): readonly FieldChange[] {
  const known = new Set(writeParts(before, names).map(part => JSON.stringify(part)))
  return writeParts(after, names).filter(part => {
    if (!('field' in part)) return true
    if (part.field === 'Categories') return false
    const isKept = part.field === 'PhysicalAddresses' || (after.kind === 'task' && part.field === 'Recurrence')
    return !isKept || !known.has(JSON.stringify(part))
  })
}

/** An occurrence that was deleted comes back only with the whole pattern written anew. */
function needsNewPattern(before: Item, after: Item, names: ReadonlySet<string>): boolean {
  if (before.kind !== 'appointment' || after.kind !== 'appointment' || !names.has('exceptions')) return false
  return Object.entries(before.exceptions).some(
    ([original, { isDeleted }]) => isDeleted && !after.exceptions[original]?.isDeleted,
  )
}

function hasExceptions(item: Item): item is Appointment {
  return item.kind === 'appointment' && item.recurrence !== null && Object.keys(item.exceptions).length > 0
}

/** Mails that were sent lie among the sent ones, all others in the first folder of the scope. */
function byFolder(items: readonly Creation[], folders: readonly ScopeFolder[]) {
  const groups = new Map<string, number[]>()
  for (const [index, { item }] of items.entries()) {
    const wanted = item.kind === 'mail' && item.direction === 'out' ? 'sentitems' : undefined
    const folder = folders.find(each => each.name === wanted) ?? folders[0]
    if (!folder) continue
    const group = groups.get(folder.id)
    if (group) group.push(index)
    else groups.set(folder.id, [index])
  }
  return [...groups].map(([folderId, indexes]) => ({ folderId, indexes }))
}

function outcomeOf(error: HubError): WriteOutcome {
  if (error.code === ewsErrors.CHANGED_MEANWHILE.code) return { state: 'conflict' }
  if (error.code === ewsErrors.ITEM_GONE.code) return { state: 'gone' }
  return { state: 'refused', error: itemErrorOrThrow(error) }
}

/** An occurrence that is deleted already is what was wanted, or what somebody else wanted. */
function refuseUnlessGone(answers: readonly unknown[]): void {
  for (const answer of answers) {
    if (answer instanceof HubError && answer.code !== ewsErrors.ITEM_GONE.code) throw answer
  }
}

/** An error of one item; whatever concerns more than that is thrown. */
function itemErrorOrThrow(thrown: unknown): HubError {
  if (thrown instanceof HubError && concernOf(thrown) === 'item') return thrown
  throw thrown
}
