import { DAY, HOUR, MINUTE, SECOND } from '../../kernel/time.ts'

export const organizationLimits = {
  organizations: 200,
  profiles: 200,
  mailboxesPerOrganization: 20_000,
  /** Rows of one list or CSV of mailboxes, and its octets. */
  listRows: 20_000,
  listBytes: 4 * 1024 * 1024,
  /** Mistakes of a list that are told; further ones are counted. */
  listMistakes: 200,
  /** With so many mistakes nobody reads on: the text is something else. */
  listMistakesMax: 1_000,
  /** Lines of the log of one mailbox; the oldest go. */
  logLines: 2_000,
  /** Mailboxes that one job works on at the same time. */
  jobParallel: 6,
  /** Mailboxes in a row that are refused, and none goes well, before that is believed of the account behind them. */
  refusedInARow: 6,
  /** Rests in a row that a job keeps because the servers are busy, before it tells that as the failure of its mailboxes. */
  busyRests: 5,
  /** How far a job came is stored at most so often; what is done twice after a crash does no harm. */
  jobStoreMs: SECOND,
  /** Failures that a job tells one by one. */
  jobFailures: 1_000,
  /** Ended jobs are kept for so long. */
  jobKeepMs: 30 * DAY,
  /** Counts of a mailbox are stored at most so often, and when the hub stops. */
  progressStoreMs: 5 * MINUTE,
  /** Items that a preview tells one by one; all are counted. */
  previewItems: 500,
  previewMs: 5 * MINUTE,
  /** A test of access may take so long. */
  testMs: 2 * MINUTE,
  everyMsMin: 10 * SECOND,
  everyMsMax: 24 * HOUR,
  overlapMsMin: MINUTE,
  overlapMsMax: HOUR,
} as const

/** Where the records of organizations lie in the store. */
export const organizationArea = 'groupware-organization'
