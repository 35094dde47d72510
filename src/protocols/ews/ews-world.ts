import type { BasicCredential, CredentialValue } from '../../kernel/credential.ts'
import { systemClock } from '../../kernel/time.ts'
import {
  type ExchangeEwsOptions,
  type ExchangeEwsTwin,
  exchangeAccount,
  startExchangeEws,
} from '../../twins/exchange-ews/exchange-ews.ts'
import { makeConnect } from '../net/connect.ts'
import { type At, EwsClient } from './client.ts'
import type { EwsOptions } from './exchange.ts'

/** The service account of the twin as a credential. */
export const serviceAccount: BasicCredential = { kind: 'basic', ...exchangeAccount }

/** Options of a client for a test: Basic, impersonation, the service account. */
export function ewsOptions(url: string, more: Partial<EwsOptions> = {}): EwsOptions {
  return {
    url: new URL(url),
    access: 'impersonation',
    auth: 'basic',
    credential: 'exchange',
    lookUp: async (): Promise<CredentialValue> => serviceAccount,
    connect: () => makeConnect(),
    clock: systemClock,
    timeoutMs: 15_000,
    ...more,
  }
}

/** A twin and a client of it; `stop` ends both. */
export async function startEwsWorld(
  options: ExchangeEwsOptions = {},
  more: Partial<EwsOptions> = {},
): Promise<{ readonly twin: ExchangeEwsTwin; readonly client: EwsClient; readonly at: At; stop(): Promise<void> }> {
  const twin = await startExchangeEws(options)
  const client = new EwsClient(ewsOptions(twin.url, more))
  return {
    twin,
    client,
    at: { mailbox: 'anna@contoso.example', signal: new AbortController().signal },
    async stop() {
      await client.close()
      await twin.stop()
    },
  }
}
