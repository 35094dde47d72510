import type { Drivers } from './access-test.ts'
import type { Mailbox, Organization } from './model.ts'

/**
 * Opens the two sides of an organization. `own`: the mailbox they are for alone, where each has its own credential
 * (ews-direct); `sample`: the address of one that they serve, for Autodiscover.
 */
export type OpenDrivers = (
  organization: Organization,
  mailbox: { readonly own: Mailbox | undefined; readonly sample: string },
) => Promise<Drivers>

interface Opened {
  readonly revision: string
  readonly drivers: Promise<Drivers>
  users: number
  isStale: boolean
}

/** Drivers that are open, one pair for each way in; another one as soon as the settings are others. */
export class DriverBook {
  readonly #open: OpenDrivers
  readonly #settingsOf: (organization: Organization) => string
  readonly #opened = new Map<string, Opened>()

  /** `settingsOf`: what else drivers are opened with. */
  constructor(open: OpenDrivers, settingsOf: (organization: Organization) => string = () => '') {
    this.#open = open
    this.#settingsOf = settingsOf
  }

  /** Works with the drivers of now; those of older settings are closed when nobody works with them any more. */
  async use<T>(organization: Organization, mailbox: Mailbox, work: (drivers: Drivers) => Promise<T>): Promise<T> {
    const own = organization.access === 'ews-direct' ? mailbox : undefined
    const key = keyOf(organization, mailbox)
    // The way in and how it is used, nothing else: an organization that was paused goes on with what it has open.
    const { access, exchange, crm } = organization
    const revision = JSON.stringify([access, exchange, crm, own?.auth, this.#settingsOf(organization)])
    let opened = this.#opened.get(key)
    if (opened && opened.revision !== revision) {
      this.drop(key)
      opened = undefined
    }
    if (!opened) {
      opened = {
        revision,
        drivers: this.#open(organization, { own, sample: mailbox.address }),
        users: 0,
        isStale: false,
      }
      this.#opened.set(key, opened)
    }
    const mine = opened
    mine.users++
    try {
      return await work(await mine.drivers)
    } catch (thrown) {
      // What could not be opened is opened anew by the next one.
      const isOpen = await mine.drivers.then(
        () => true,
        () => false,
      )
      if (!isOpen && this.#opened.get(key) === mine) this.drop(key)
      throw thrown
    } finally {
      mine.users--
      if (mine.isStale && mine.users === 0) await closeBoth(mine)
    }
  }

  /** The drivers of a mailbox that stand open. */
  async peek(organization: Organization, mailbox: Mailbox): Promise<Drivers | undefined> {
    return this.#opened.get(keyOf(organization, mailbox))?.drivers.catch(() => undefined)
  }

  drop(key: string): void {
    const opened = this.#opened.get(key)
    this.#opened.delete(key)
    if (!opened) return
    opened.isStale = true
    if (opened.users === 0) void closeBoth(opened)
  }

  /** Everything of one organization. */
  dropAll(organization: string): void {
    for (const key of this.#opened.keys())
      if (key === organization || key.startsWith(`${organization}/`)) this.drop(key)
  }

  async close(): Promise<void> {
    const all = [...this.#opened.values()]
    this.#opened.clear()
    await Promise.all(all.map(closeBoth))
  }
}

function keyOf({ name, access }: Organization, { address }: Mailbox): string {
  return access === 'ews-direct' ? `${name}/${address}` : name
}

/** Never rejects: there is nothing to do about a side that cannot be closed. */
async function closeBoth({ drivers }: Opened): Promise<void> {
  const both = await drivers.catch(() => undefined)
  await Promise.allSettled([both?.exchange.close?.(), both?.crm.close?.()])
}
