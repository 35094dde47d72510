import type { ItemKind } from '../plan/items.ts'
import type { RulesInput } from './rules-input.ts'

/** How the hub comes into the mailboxes of an organization. */
export const accessTypes = ['ews-impersonation', 'ews-direct', 'graph'] as const
export type AccessType = (typeof accessTypes)[number]

/** Users of one Exchange deployment (or one Microsoft 365 tenant) and one CRM, who share access and profile. */
export interface Organization {
  readonly name: string
  readonly about: string
  readonly access: AccessType
  readonly exchange: {
    /** The EWS URL, or the root of Graph; undefined: Autodiscover, or Microsoft's own Graph. */
    readonly url?: string | undefined
    /** Name of the credential of the service account; undefined where each mailbox has its own (ews-direct). */
    readonly auth?: string | undefined
    /** Location of the on-premise connector. */
    readonly via?: string | undefined
    /** How a user with password logs in at EWS. */
    readonly logIn: 'ntlm' | 'basic'
  }
  readonly crm: {
    /** Root of the OData service, with its final slash. */
    readonly url: string
    readonly auth: string
    readonly via?: string | undefined
    /** Into whose calendar visits come; undefined: they are not synced. */
    readonly visits?: 'owner' | 'organizer' | undefined
    /** Language of the notes that the hub writes (`DE`). */
    readonly language?: string | undefined
    /** Roles of what it creates (`CRM000`). */
    readonly accountRole?: string | undefined
    readonly customerRole?: string | undefined
    /** How late a change may show in the feed of changes. */
    readonly overlapMs?: number | undefined
  }
  readonly profile: string
  /** How often a mailbox is looked at when no notification says that something changed. */
  readonly everyMs: number
  /** The mailbox with which access is tested; undefined: the first one. */
  readonly testMailbox?: string | undefined
  /** A person stopped it: no mailbox of it is synced. */
  readonly isPaused: boolean
  readonly changedAt: number
  /** Grows by one at each change. */
  readonly revision: number
}

/** Rules under a name, for as many organizations as like. */
export interface Profile {
  readonly name: string
  readonly about: string
  readonly rules: RulesInput
  readonly changedAt: number
  readonly revision: number
}

export const mailboxStates = ['not-activated', 'testing', 'active', 'paused', 'error'] as const
export type MailboxState = (typeof mailboxStates)[number]

/** What people begin. */
export const jobActions = [
  'activate',
  'deactivate',
  'resync',
  'pause',
  'resume',
  'delete',
  'release-brake',
  'restore-held',
] as const
/** `move` is begun by the hub, where an organization gets another way into its mailboxes. */
export const allJobActions = [...jobActions, 'move'] as const
export type JobAction = (typeof allJobActions)[number]

/** What went wrong, in words that are kept. */
export interface Cause {
  readonly code: string
  readonly side: string
  readonly message: string
  readonly next: string
}

/** A user: one mailbox of one organization. */
export interface Mailbox {
  /** Primary SMTP address, in lower case; it belongs to one organization only. */
  readonly address: string
  readonly organization: string
  /** Mail address of the employee in the CRM; mostly the same. */
  readonly crmAddress: string
  /** Own credential (ews-direct). */
  readonly auth?: string | undefined
  /** Settings of this user that win over the profile. */
  readonly rules: RulesInput
  readonly state: MailboxState
  readonly stateSince: number
  /** Why it is in error, or what its last round ran into. */
  readonly cause?: Cause | undefined
  readonly revision: number
}

/** What a mailbox has done; kept loosely, for people to look at. */
export interface Progress {
  readonly lastRoundAt: number | undefined
  /** When an item last came over. */
  readonly lastItemAt: number | undefined
  readonly firstRoundAt: number | undefined
  readonly nextRoundAt: number | undefined
  /** Items written to the CRM and to the mailbox since activation: created, updated, removed. */
  readonly itemsIn: number
  readonly itemsOut: number
  readonly conflicts: number
  readonly refused: number
  /** Deletions that wait for the word of a person, by kind. */
  readonly held: Readonly<Partial<Record<ItemKind, number>>>
  /** Rounds that failed since the last one that went well. */
  readonly failedRounds: number
}

export const noProgress: Progress = {
  lastRoundAt: undefined,
  lastItemAt: undefined,
  firstRoundAt: undefined,
  nextRoundAt: undefined,
  itemsIn: 0,
  itemsOut: 0,
  conflicts: 0,
  refused: 0,
  held: {},
  failedRounds: 0,
}
