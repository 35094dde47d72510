import type { XmlElement } from '../../protocols/xml/xml-element.ts'
import { strike } from '../twin.ts'
import type { EwsFaults } from './faults.ts'
import { EwsError } from './soap.ts'
import type { TwinFolder, TwinMailbox } from './world.ts'

/** Who may log in, and for whom it may act. */
export interface TwinAccount {
  /** `CONTOSO\svc` or `svc@x.example`; as application id where it shows tokens. */
  readonly user: string
  readonly password: string
  /** The role ApplicationImpersonation and its management scope. */
  readonly impersonates: 'nobody' | 'everybody' | readonly string[]
  /** Its own mailbox, where it has one. */
  readonly mailbox?: string
}

export interface TwinDirectory {
  readonly accounts: readonly TwinAccount[]
  readonly mailboxes: readonly TwinMailbox[]
  /** By primary address or alias. */
  mailboxNamed(address: string): TwinMailbox | undefined
}

/** One request: for whom, in whose mailbox, and with which faults. */
export class Session {
  readonly world: TwinDirectory
  readonly account: TwinAccount
  readonly mailbox: TwinMailbox
  readonly #faults: EwsFaults

  constructor(world: TwinDirectory, account: TwinAccount, mailbox: TwinMailbox, faults: EwsFaults) {
    this.world = world
    this.account = account
    this.mailbox = mailbox
    this.#faults = faults
  }

  get illegalReferences(): boolean {
    return this.#faults.illegalReferences ?? false
  }

  folder(ref: XmlElement): TwinFolder {
    const id = ref.attributes.get('Id') ?? ''
    return this.mailbox.folder(ref.name === 'DistinguishedFolderId' ? id.toLowerCase() : id)
  }

  takeRowFailure(): EwsError | undefined {
    const { failItems, busy } = this.#faults
    if (strike(failItems)) return new EwsError(failItems?.code ?? '', failItems?.text ?? '')
    if (busy?.as !== 'row' && busy?.as !== 'inside') return undefined
    if (!strike(busy)) return undefined
    const values = { BackOffMilliseconds: String(busy.backOffMs) }
    return busy.as === 'row'
      ? new EwsError('ErrorServerBusy', busyText, { values })
      : new EwsError(
          'ErrorInternalServerError',
          `An internal server error occurred. The operation failed. ErrorServerBusy: ${busyText}`,
          { values },
        )
  }

  takeBatchStop(): number | undefined {
    const { stopBatchAfter } = this.#faults
    return strike(stopBatchAfter) ? stopBatchAfter?.items : undefined
  }
}

export const busyText = 'The server cannot service this request right now. Try again later.'
