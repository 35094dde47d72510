const host = 'FR3P281CA0042.outlook.office365.com'
const trace = `[${host} 2026-11-21T09:00:00.000Z 08DE28D4A1B2C3D4]`

/** What Exchange Online says, as clients' logs show it. */
export const exchangeWords = {
  host,
  greeting: (now: Date) =>
    `220 ${host} Microsoft ESMTP MAIL Service ready at ${now.toUTCString().replace('GMT', '+0000')}`,
  accepted: (messageId: string) => `250 2.0.0 OK ${messageId} [Hostname=${host}]`,
  authNeeded: `530 5.7.57 Client not authenticated to send mail. ${trace}`,
  authRefused: `535 5.7.3 Authentication unsuccessful ${trace}`,
  authDisabled: `535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Mailbox. Visit https://aka.ms/smtp_auth_disabled for more information. ${trace}`,
  tooLarge: '552 5.3.4 Message size exceeds fixed maximum message size',
  tooManyRecipients: '550 5.5.3 RESOLVER.ADR.RecipLimit; too many recipients',
  sendAsDenied:
    '554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException.MapiExceptionSendAsDenied; Failed to process message due to a permanent exception with message Cannot submit message.',
  tooManyAtOnce: `432 4.3.2 Concurrent connections limit exceeded. Visit https://aka.ms/concurrent_sending for more information. [Hostname=${host}]`,
  /** Without its code, for the fault that says 421. */
  throttled: '4.3.2 Service not active, too many concurrent connections, try again later',
}
