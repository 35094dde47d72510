import type { SyncStore } from '../sync/sync-store.ts'
import type { Directory } from './directory.ts'
import { organizationErrors } from './errors.ts'
import type { JobAction, Mailbox, MailboxState } from './model.ts'
import { itemKinds } from './rules-input.ts'

/** Addresses of the mailboxes of a job: those that are named, or all that it can be done to. */
export async function targetsOf(
  { directory, store }: { readonly directory: Directory; readonly store: SyncStore },
  wish: {
    readonly organization: string
    readonly action: JobAction
    readonly addresses: readonly string[] | 'all'
  },
): Promise<readonly string[]> {
  const { organization, action, addresses } = wish
  directory.organization(organization)
  if (addresses !== 'all') return addresses.map(address => memberOf(directory, organization, address))
  const isHeld = action === 'release-brake' || action === 'restore-held'
  const targets: string[] = []
  for (const mailbox of directory.mailboxes(organization)) {
    const fits = isHeld ? await holdsAny(store, mailbox) : statesOf[action]?.includes(mailbox.state) !== false
    if (fits) targets.push(mailbox.address)
  }
  return targets
}

/** States in which something can be done; what is not named can be done in all. */
const statesOf: Partial<Record<JobAction, readonly MailboxState[]>> = {
  activate: ['not-activated', 'error', 'testing'],
  deactivate: ['testing', 'active', 'paused', 'error'],
  resync: ['testing', 'active', 'paused', 'error'],
  pause: ['active', 'error'],
  resume: ['paused'],
}

function memberOf(directory: Directory, organization: string, address: string): string {
  const mailbox = directory.mailbox(address)
  if (mailbox.organization === organization) return mailbox.address
  throw organizationErrors.MAILBOX_ELSEWHERE({ mailbox: address, organization: mailbox.organization })
}

async function holdsAny(store: SyncStore, { organization, address: mailbox }: Mailbox): Promise<boolean> {
  const counts = itemKinds.map(kind => store.countHeld({ organization, mailbox, kind }))
  return (await Promise.all(counts)).some(count => count > 0)
}
