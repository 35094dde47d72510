/** A tagged NO or BAD. It ends as a line to the client and never leaves the session. */
export class Refusal extends Error {
  readonly status: 'NO' | 'BAD'

  constructor(status: 'NO' | 'BAD', text: string) {
    super(text)
    this.status = status
  }
}

/** Texts of Exchange Online, as they stand in clients' logs. */
export const texts = {
  greeting: 'The Microsoft Exchange IMAP4 service is ready. [VABXAEkATgAuAEwATwBDAEEATAA=]',
  bye: 'Microsoft Exchange Server IMAP4 server signing off.',
  notConnected: 'User is authenticated but not connected.',
  tokenExpired: 'Session invalidated - AccessTokenExpired',
  closed: 'Connection closed. 14',
  inactive: 'Connection is closed. 13',
  invalidState: 'Command received in Invalid state.',
  unknownCommand: 'Command Error. 12',
  badArgument: 'Command Argument Error. 11',
  throttled: (backoffMs: number) => `Request is throttled. Suggested Backoff Time: ${backoffMs} milliseconds`,
  unavailable: 'Server Unavailable. 15',
  ready: 'Ready for additional command text.',
} as const

export const badArgument = () => new Refusal('BAD', texts.badArgument)
