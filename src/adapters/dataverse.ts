import { resolve } from 'node:path'
import { defineReceiver, type Effect, type Receipt, type Receiver, type ReceiverContext } from '../flow/adapter.ts'
import { asHubError } from '../kernel/error.ts'
import type { Message } from '../kernel/message.ts'
import type { CheckResult } from '../kernel/socket.ts'
import { MINUTE } from '../kernel/time.ts'
import { DataverseClient } from '../protocols/dataverse/client.ts'
import { dataverseErrors } from '../protocols/dataverse/errors.ts'
import { shareGate } from '../protocols/dataverse/gate.ts'
import { CertifiedAgents } from '../protocols/net/certified-agents.ts'
import { noProof, proofOf } from '../protocols/net/credential-proof.ts'
import type { ODataLogIn } from '../protocols/odata/exchange.ts'
import { readAuthority } from './authority-file.ts'
import { callOperation } from './dataverse-call.ts'
import { checkRecord } from './dataverse-check.ts'
import { type DataverseConfig, dataverseConfig } from './dataverse-config.ts'
import type { Job } from './dataverse-job.ts'
import { writeMany } from './dataverse-many.ts'
import { writeRecord } from './dataverse-write.ts'
import { connectTimeoutMs } from './http-log-in.ts'

export const dataverse = defineReceiver({
  id: 'dataverse',
  title: 'Dynamics 365 (Dataverse)',
  summary: 'Makes, changes and looks up records of Dynamics 365, and calls its actions and custom APIs.',
  answers: true,
  config: dataverseConfig,
  examples: [
    {
      title: 'Customers as accounts, in one request each',
      config: {
        url: 'https://contoso.crm4.dynamics.com',
        auth: 'dynamics-application',
        set: 'accounts',
        key: ['accountnumber'],
        'skip-unchanged': true,
      },
    },
    {
      title: 'Materials whose numbers may hold any character',
      config: {
        url: 'https://contoso.crm4.dynamics.com',
        auth: 'dynamics-application',
        set: 'products',
        key: { productnumber: '${message.body.productnumber}' },
        operation: 'check-then-write',
      },
    },
    {
      title: 'The status of an invoice',
      config: {
        url: 'https://contoso.crm4.dynamics.com',
        auth: 'dynamics-application',
        set: 'invoices',
        key: { new_sapkey: '${message.body.invoice}' },
        operation: 'check',
        select: ['statecode', 'statuscode'],
      },
    },
    {
      title: 'A custom API, through a connector',
      config: {
        url: 'https://crm.virtual',
        via: 'dc-frankfurt',
        auth: 'dynamics-application',
        operation: 'action',
        name: 'new_SetCreditLimit',
      },
    },
  ],
  errors: dataverseErrors,
  open: context => DataverseReceiver.open(context),
})

/** How long one attempt may wait for its turns; below the time that the hub gives a receiver (stepMs). */
const patienceMs = 10 * MINUTE

class DataverseReceiver implements Receiver {
  readonly #context: ReceiverContext<DataverseConfig>
  readonly #agents: CertifiedAgents
  readonly #client: DataverseClient
  readonly #releaseGate: () => void

  constructor(context: ReceiverContext<DataverseConfig>, ca: string | undefined) {
    const { config, connect, clock, log } = context
    this.#context = context
    this.#agents = new CertifiedAgents({
      connect: () => connect,
      via: config.via,
      tls: ca === undefined ? {} : { ca },
      connectTimeoutMs: Math.min(connectTimeoutMs, config.timeout / 2),
      connections: config.concurrent,
      // The client holds the limit of answers itself.
      answerBytesMax: -1,
    })
    const environment = new URL(config.url)
    const { gate, release } = shareGate(config.auth ?? '', {
      server: environment.host,
      clock,
      concurrent: config.concurrent,
      requests: config['requests-per-5m'],
    })
    this.#releaseGate = release
    this.#client = new DataverseClient({
      environment,
      version: config.version,
      gate,
      flow: context.flow,
      answerBytesMax: config['max-answer'],
      logIn: refused => this.#logIn(refused),
      credential: config.auth ?? 'the receiver (it has none)',
      timeoutMs: config.timeout,
      now: () => clock.now(),
      onThrottled: wait => log.info('dataverse.throttled', { server: environment.host, ...wait }),
    })
  }

  static async open(context: ReceiverContext<DataverseConfig>): Promise<DataverseReceiver> {
    const { config, folder } = context
    const file = config.ca === undefined ? undefined : resolve(folder, config.ca)
    return new DataverseReceiver(context, file && (await readAuthority(file, dataverseErrors.CA_UNREADABLE)))
  }

  async deliver(message: Message, effect: Effect): Promise<Receipt> {
    const { config, clock, limits, keyMap } = this.#context
    // A message that cannot go in the time of its caller is put back, and the caller hears of it.
    const until = Math.min(clock.now() + patienceMs, effect.awaitedUntil ?? Number.POSITIVE_INFINITY)
    const within = { signal: effect.signal, until }
    const job: Job = { client: this.#client, config, message, effect, limits, keyMap, within }
    switch (config.operation) {
      case 'check':
        return checkRecord(job)
      case 'upsert-many':
      case 'create-many':
        return writeMany(job)
      case 'action':
      case 'function':
        return callOperation(job)
      case 'upsert':
      case 'check-then-write':
      case 'create':
      case 'update':
        return writeRecord(job)
    }
  }

  waiting() {
    return this.#client.waiting
  }

  /** Line, token and application user (WhoAmI), and that the table has the alternate key, active. */
  async check(): Promise<CheckResult> {
    const { config, clock } = this.#context
    const signal = AbortSignal.any([this.#context.signal, AbortSignal.timeout(config.timeout)])
    try {
      const { set, key } = config
      const within = { signal, until: clock.now() + config.timeout }
      const user = await this.#client.whoAmI(within)
      if (set === undefined) return { ok: true, detail: `${this.#client.server} knows this hub as user ${user}` }
      const { keys, idColumn } = await this.#client.facts(set, within)
      const columns = Array.isArray(key) ? key : typeof key === 'object' && !('render' in key) ? Object.keys(key) : []
      if (columns.length > 0 && config.operation !== 'check-then-write') this.#requireKey(set, columns, keys, idColumn)
      return { ok: true, detail: `${this.#client.server} knows this hub as user ${user} and has ${set}` }
    } catch (thrown) {
      return { ok: false, error: asHubError(thrown) }
    }
  }

  async close(): Promise<void> {
    this.#releaseGate()
    await this.#agents.close()
  }

  #requireKey(
    set: string,
    columns: readonly string[],
    keys: readonly { readonly columns: readonly string[]; readonly state: string }[],
    idColumn: string,
  ): void {
    if (columns.length === 1 && columns[0] === idColumn) return
    // In an address a lookup column is written _name_value, in the key it is the column itself.
    const wanted = columns.map(column => column.replace(/^_(\w+)_value$/, '$1'))
    const found = keys.find(
      key => key.columns.length === wanted.length && wanted.every(each => key.columns.includes(each)),
    )
    if (found?.state === 'Active') return
    const state = found ? ` (it is ${found.state})` : ''
    throw dataverseErrors.KEY_NOT_THERE({ set, server: this.#client.server, columns: wanted.join(', '), state })
  }

  async #logIn(refused: string | undefined): Promise<ODataLogIn> {
    const { config, credential } = this.#context
    const value = config.auth === undefined ? undefined : await credential(config.auth)
    const proof = value === undefined ? noProof : value.kind === 'oauth2' ? await proofOf(value, refused) : undefined
    if (!proof) throw dataverseErrors.CREDENTIAL_UNFIT({ credential: config.auth, kind: value?.kind })
    const { header, token } = proof
    return { header, token, identity: header?.[1] ?? '', dispatcher: () => this.#agents.agentFor(undefined) }
  }
}
