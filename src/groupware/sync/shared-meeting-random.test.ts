import { expect, test } from 'vitest'
import type { Item } from '../plan/items.ts'
import { randomOf } from '../random-world.ts'
import { edit, ownedBy, Pair } from './pair-world.ts'
import { appointment, type Held, type WorldCrm } from './sides-world.ts'

// Meetings of three mailboxes, one of which is the organizer's: they are activated one after the other, have rounds beside
// each other, people edit all copies and the appointment in the CRM, decline and cancel. At the end each meeting is in the CRM
// once, led by its organizer, with the organizer's words and the CRM's.

const firstSeed = Number(process.env['ISTHMUS_GROUPWARE_SEED'] ?? 1)
const scheduleCount = Number(process.env['ISTHMUS_GROUPWARE_MEETINGS'] ?? 100)
const steps = 25

interface Meeting {
  readonly tag: string
  readonly organizer: Pair
  /** What lies of it in each mailbox. */
  readonly copies: Map<Pair, Held>
  isCancelled: boolean
}

class Schedule {
  readonly story: string[] = []
  readonly pairs: readonly Pair[]
  readonly crm: WorldCrm
  readonly #active = new Set<Pair>()
  readonly #meetings: Meeting[] = []
  readonly #random: () => number
  #value = 0

  constructor(seed: number) {
    this.#random = randomOf(seed)
    const first = new Pair()
    this.crm = first.crm
    this.pairs = [first, new Pair('appointment', first), new Pair('appointment', first)]
    const owners = new Map<string, string>()
    for (const [index, pair] of this.pairs.entries()) {
      const mailbox = `${index}@x.example`
      Object.assign(pair.scope, { mailbox, owner: mailbox })
      Object.assign(pair, { crm: ownedBy(mailbox, this.crm, owners) })
      pair.rules = { ...pair.rules, brake: { freeCount: 1000, share: 1 } }
    }
  }

  async run(): Promise<readonly string[]> {
    for (let step = 0; step < steps; step += 1) {
      this.crm.around.now += Math.floor(this.#random() * 2000)
      await this.#step()
    }
    for (const pair of this.pairs) this.#active.add(pair)
    await this.#settle()
    await this.#settle()
    const faults = (await Promise.all(this.#meetings.map(meeting => this.#judge(meeting)))).flat()
    const writes = this.#writeCount()
    await this.#settle()
    return writes === this.#writeCount() ? faults : [...faults, 'writes for ever']
  }

  async #step(): Promise<void> {
    const dice = this.#random()
    const meeting = this.#pick(this.#meetings.filter(({ isCancelled }) => !isCancelled))
    const pair = this.#pick(this.pairs)
    const copy = pair && meeting?.copies.get(pair)
    const tell = (text: string) => this.story.push(`${text} ${meeting?.tag} ${pair?.scope.mailbox} ${this.#value}`)
    if (dice < 0.12) this.#invite()
    else if (dice < 0.25 && meeting && pair && copy) {
      const says = pair === meeting.organizer ? 'organizer' : 'attendee'
      pair.mailbox.edit(copy.id, edit({ location: this.#next(says) }))
      tell('somebody edits')
    } else if (dice < 0.35) {
      const row = this.#pick([...this.crm.held.values()])
      if (row) this.crm.edit(row.id, edit({ body: { type: 'text', content: this.#next('crm') } }))
      tell('the CRM edits')
    } else if (
      dice < 0.4 &&
      meeting &&
      pair &&
      copy &&
      pair !== meeting.organizer &&
      this.#active.has(meeting.organizer)
    ) {
      await this.#settle()
      pair.mailbox.drop(copy.id)
      meeting.copies.delete(pair)
      tell('somebody declines')
    } else if (dice < 0.44 && meeting && this.#active.has(meeting.organizer)) {
      await this.#settle()
      for (const [each, { id }] of meeting.copies) each.mailbox.drop(id)
      meeting.isCancelled = true
      tell('cancelled')
    } else if (dice < 0.55 && pair) {
      this.#active.add(pair)
      tell('active')
    } else if (dice < 0.8) {
      tell('rounds beside each other')
      await Promise.all([...this.#active].map(each => this.#roundSoon(each)))
    } else if (pair && this.#active.has(pair)) {
      tell('a round')
      await pair.round()
    }
  }

  #invite(): void {
    const tag = this.#next('meeting')
    const organizer = this.#pick(this.pairs)
    if (!organizer) return
    const addresses = this.pairs.filter(pair => pair !== organizer).map(({ scope }) => scope.mailbox)
    const item = appointment({
      subject: tag,
      organizer: { address: organizer.scope.mailbox, name: '' },
      attendees: addresses.map(address => ({ address, name: '', role: 'required', response: 'none' })),
    })
    const copies = new Map<Pair, Held>()
    for (const pair of this.pairs) {
      if (pair !== organizer && this.#random() < 0.3) continue
      const held = pair.mailbox.add(item)
      held.uid = tag
      copies.set(pair, held)
    }
    this.#meetings.push({ tag, organizer, copies, isCancelled: false })
    this.story.push(`${tag} of ${organizer.scope.mailbox}`)
  }

  async #judge({ tag, organizer, copies, isCancelled }: Meeting): Promise<readonly string[]> {
    const rows = [...this.crm.held.values()].filter(({ item }) => titleOf(item) === tag)
    if (rows.length !== (isCancelled ? 0 : 1)) return [`${tag} is there ${rows.length} times`]
    const [row] = rows
    const own = organizer.mailbox.held.get(copies.get(organizer)?.id ?? '')
    if (!row) return []
    if (!own) return [`the organizer has lost ${tag}`]
    const { location } = wordsOf(own.item)
    const isSame = JSON.stringify(wordsOf(own.item)) === JSON.stringify(wordsOf(row.item))
    const faults = isSame ? [] : [`${tag} differs`]
    if (location.startsWith('attendee')) faults.push(`${tag} has the words of an attendee`)
    for (const pair of this.pairs) {
      const [link] = await pair.store.findLinks(pair.scope, 'crm', [row.id])
      if (link && (link.role === 'lead') !== (pair === organizer)) faults.push(`${tag} is led by ${link.role}`)
    }
    return faults
  }

  async #roundSoon(pair: Pair): Promise<void> {
    for (let turns = Math.floor(this.#random() * 5); turns > 0; turns -= 1) await Promise.resolve()
    await pair.round()
  }

  async #settle(): Promise<void> {
    for (let count = 0; count < 4; count += 1) for (const pair of this.#active) await pair.settle()
  }

  #writeCount(): number {
    return this.pairs.reduce((sum, { mailbox }) => sum + mailbox.writeCount, this.crm.writeCount)
  }

  #next(word: string): string {
    this.#value += 1
    return `${word} ${this.#value}`
  }

  #pick<T>(all: readonly T[]): T | undefined {
    return all[Math.floor(this.#random() * all.length)]
  }
}

test(`${scheduleCount} random schedules of meetings in three mailboxes from seed ${firstSeed}`, async () => {
  for (let seed = firstSeed; seed < firstSeed + scheduleCount; seed += 1) {
    const schedule = new Schedule(seed)
    const faults = await schedule.run()
    expect(faults, `seed ${seed}\n${schedule.story.join('\n')}`).toEqual([])
    await schedule.pairs[0]?.store.close()
  }
}, 120_000)

function titleOf(item: Item): string {
  return item.kind === 'appointment' ? item.subject : ''
}

function wordsOf(item: Item) {
  return item.kind === 'appointment'
    ? { subject: item.subject, location: item.location, body: item.body.content }
    : { subject: '', location: '', body: '' }
}
