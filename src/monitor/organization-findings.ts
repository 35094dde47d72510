import { formatDuration, MINUTE } from '../kernel/time.ts'
import type { Finding } from './alerts/alert-book.ts'
import type { WatchedFailure, WatchedOrganization } from './watched.ts'

/** A server that is only busy has this long before anybody is told. */
const accountGraceMs = 15 * MINUTE

/** What of the groupware sync a person has to look after: one alert for an organization, never one for each mailbox. */
export function findOrganization(organization: WatchedOrganization, now: number): readonly Finding[] {
  return [findAccount(organization, now), findMailboxes(organization), findHeld(organization, now)]
}

/** The sync could not be opened: no mailbox of any organization is looked at. */
export function findGroupware(failure: WatchedFailure | undefined): Finding {
  return {
    id: 'groupware',
    kind: 'organization',
    channels: [],
    trouble: failure && {
      since: failure.since,
      what: `The groupware sync could not be opened, so no mailbox is synced: ${failure.error.message}`,
      turn: 'Whoever runs the hub.',
      next: failure.error.next,
      command: 'isthmus organization list',
    },
  }
}

function findAccount({ name, account }: WatchedOrganization, now: number): Finding {
  const { trouble, isRefused } = account
  const isDue = trouble !== undefined && (isRefused || now - trouble.since >= accountGraceMs)
  return {
    id: `organization:${name}`,
    kind: 'organization',
    channels: [],
    trouble: isDue
      ? {
          since: trouble.since,
          what: `No mailbox of organization ${name} has been synced for ${formatDuration(now - trouble.since)}: ${trouble.message}`,
          turn: 'Whoever runs the service account.',
          next: trouble.next,
          command: `isthmus organization test ${name}`,
        }
      : undefined,
  }
}

function findMailboxes({ name, counts, inError }: WatchedOrganization): Finding {
  const count = counts['error'] ?? 0
  return {
    id: `mailboxes:${name}`,
    kind: 'mailboxes',
    channels: [],
    trouble:
      inError && count > 0
        ? {
            since: inError.since,
            what: `${count} ${count === 1 ? 'mailbox' : 'mailboxes'} of organization ${name} cannot be synced, first ${inError.mailbox}: ${inError.message}`,
            turn: 'Whoever looks after the mailboxes.',
            next: inError.next,
            command: `isthmus mailbox list --organization ${name} --state error`,
          }
        : undefined,
  }
}

function findHeld({ name, totals }: WatchedOrganization, now: number): Finding {
  return {
    id: `held-deletions:${name}`,
    kind: 'held-deletions',
    channels: [],
    trouble:
      totals.held > 0
        ? {
            since: now,
            what: `${totals.held} deletions in organization ${name} wait: more than usual were deleted at once.`,
            turn: 'Whoever looks after the mailboxes.',
            next: 'See which with isthmus mailbox held; let them pass (release-brake) or have them created anew (restore-held).',
            command: `isthmus mailbox list --organization ${name} --held`,
          }
        : undefined,
  }
}
