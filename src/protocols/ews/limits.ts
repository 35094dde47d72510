import { KiB, MiB } from '../../kernel/size.ts'
import { MINUTE } from '../../kernel/time.ts'

/** Limits of the EWS client. */
export const ewsLimits = {
  /** One answer, a mail with its attachments included. */
  answerBytes: 150 * MiB,
  /** What is read of an answer that is an error. */
  errorBytes: 256 * KiB,
  /** Elements inside each other, and letters of one name. */
  depth: 100,
  nameLength: 300,
  /** Elements of one answer: 512 changes of a page need about 2,000. */
  elements: 2_000_000,
  /** Changes of one page of SyncFolderItems; Exchange takes 1 to 512. */
  syncPage: 512,
  /** Items of one batch that is read or written; above 50 Exchange throttles by the time of the whole batch. */
  batchItems: 50,
  /** Requests of one account at the same time; Exchange takes 27, and others may use the account too. */
  connections: 24,
  /** Subscriptions that one GetStreamingEvents carries. */
  streamSubscriptions: 200,
  /** Streams of one account: at 200 mailboxes each they hear 12,800. */
  streamConnections: 64,
  /** Minutes that one GetStreamingEvents stays open; Exchange takes 1 to 30. */
  streamMinutes: 29,
  /** Exchange sends a sign of life each minute; a stream that is silent for longer is dead. */
  streamSilenceMs: 3 * MINUTE,
  /** One envelope of a stream of notifications. */
  streamEnvelopeBytes: 4 * MiB,
  /** Redirects that Autodiscover follows. */
  autodiscoverHops: 10,
} as const
