import { afterAll, beforeAll, expect, test } from 'vitest'
import { HubError } from '../../kernel/error.ts'
import { ewsOptions } from '../../protocols/ews/ews-world.ts'
import { type ExchangeEwsTwin, startExchangeEws } from '../../twins/exchange-ews/exchange-ews.ts'
import { EwsDriver } from '../ews-driver.ts'

const mailbox = 'anna@contoso.example'
const scope = {
  organization: 'contoso',
  mailbox,
  kind: 'task',
  owner: mailbox,
  folders: [],
  from: null,
  to: null,
} as const
let twin: ExchangeEwsTwin
let driver: EwsDriver

beforeAll(async () => {
  twin = await startExchangeEws({ mailboxes: [{ address: mailbox, name: 'Anna Schmidt' }] })
  driver = new EwsDriver({ ...ewsOptions(twin.url), markCategory: 'SAP Cloud for Customer' })
})
afterAll(async () => {
  await driver.close()
  await twin.stop()
})

/** What Exchange answers, whom it stops, and when it is tried again. */
test.each([
  ['ErrorServerBusy', 'EWS_BUSY', 'account', 'soon'],
  ['ErrorExceededConnectionCount', 'EWS_TOO_MUCH_AT_ONCE', 'account', 'soon'],
  ['ErrorTooManyObjectsOpened', 'EWS_TOO_MUCH_AT_ONCE', 'account', 'soon'],
  ['ErrorTimeoutExpired', 'EWS_TOO_MUCH_AT_ONCE', 'account', 'soon'],
  ['ErrorExceededFindCountLimit', 'EWS_TOO_MUCH_AT_ONCE', 'account', 'soon'],
  ['ErrorExceededSubscriptionCount', 'EWS_SUBSCRIPTIONS_EXCEEDED', 'mailbox', 'soon'],
  ['ErrorImpersonateUserDenied', 'EWS_IMPERSONATION_DENIED', 'mailbox', 'after-change'],
  ['ErrorImpersonationDenied', 'EWS_NOT_AN_IMPERSONATOR', 'account', 'after-change'],
  ['ErrorImpersonationFailed', 'EWS_NOT_AN_IMPERSONATOR', 'account', 'after-change'],
  ['ErrorNonExistentMailbox', 'EWS_NO_MAILBOX', 'mailbox', 'after-change'],
  ['ErrorNameResolutionNoMailbox', 'EWS_NO_MAILBOX', 'mailbox', 'after-change'],
  ['ErrorAccountDisabled', 'EWS_MAILBOX_DISABLED', 'mailbox', 'after-change'],
  ['ErrorMailboxMoveInProgress', 'EWS_MAILBOX_AWAY', 'mailbox', 'soon'],
  ['ErrorMailboxStoreUnavailable', 'EWS_MAILBOX_AWAY', 'mailbox', 'soon'],
  ['ErrorMailboxFailover', 'EWS_MAILBOX_AWAY', 'mailbox', 'soon'],
  ['ErrorSyncFolderNotFound', 'EWS_FOLDER_GONE', 'mailbox', 'after-change'],
  ['ErrorInvalidSyncStateData', 'EWS_SYNC_STATE_LOST', 'mailbox', 'soon'],
  ['ErrorIrresolvableConflict', 'EWS_CHANGED_MEANWHILE', 'item', 'soon'],
  ['ErrorStaleObject', 'EWS_CHANGED_MEANWHILE', 'item', 'soon'],
  ['ErrorChangeKeyRequiredForWriteOperations', 'EWS_CHANGED_MEANWHILE', 'item', 'soon'],
  ['ErrorItemNotFound', 'EWS_ITEM_GONE', 'item', 'never'],
  ['ErrorCalendarOccurrenceIsDeletedFromRecurrence', 'EWS_ITEM_GONE', 'item', 'never'],
  ['ErrorBatchProcessingStopped', 'EWS_BATCH_STOPPED', 'item', 'soon'],
  ['ErrorInvalidSubscription', 'EWS_SUBSCRIPTION_LOST', 'mailbox', 'soon'],
  ['ErrorSubscriptionNotFound', 'EWS_SUBSCRIPTION_LOST', 'mailbox', 'soon'],
  ['ErrorReadEventsFailed', 'EWS_SUBSCRIPTION_LOST', 'mailbox', 'soon'],
  ['ErrorMissedNotificationEvents', 'EWS_SUBSCRIPTION_LOST', 'mailbox', 'soon'],
  ['ErrorProxyRequestNotAllowed', 'EWS_SUBSCRIPTION_LOST', 'mailbox', 'soon'],
] as const)('%s is %s and stops the %s', async (answered, code, concerns, retry) => {
  twin.setFaults({ fail: { times: 3, code: answered } })
  const error = await driver.read(scope, ['AAMkAny'], new AbortController().signal).then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  twin.clearFaults()
  if (!(error instanceof HubError)) throw new Error(`nothing failed: ${String(error)}`)
  expect([error.code, driver.concerns(error), error.retry]).toEqual([code, concerns, retry])
  // A sentence without a gap, and what to do.
  for (const words of [error.message, error.next]) expect(words).toMatch(/^[^{}]{12,}$/)
})
