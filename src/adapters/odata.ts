import { resolve } from 'node:path'
import { defineReceiver, type Effect, type Receipt, type Receiver, type ReceiverContext } from '../flow/adapter.ts'
import { asHubError } from '../kernel/error.ts'
import type { Message } from '../kernel/message.ts'
import type { CheckResult } from '../kernel/socket.ts'
import { CertifiedAgents } from '../protocols/net/certified-agents.ts'
import { noProof, proofOf } from '../protocols/net/credential-proof.ts'
import { ODataClient } from '../protocols/odata/client.ts'
import { odataErrors } from '../protocols/odata/errors.ts'
import type { ODataLogIn } from '../protocols/odata/exchange.ts'
import { entityTypeOf } from '../protocols/odata/model.ts'
import { readAuthority } from './authority-file.ts'
import { connectTimeoutMs } from './http-log-in.ts'
import { changeTogether } from './odata-batch.ts'
import { callOperation } from './odata-call.ts'
import { changeEntity } from './odata-change.ts'
import { type ODataConfig, odataConfig } from './odata-config.ts'
import type { Surroundings } from './odata-operation.ts'
import { queryEntities, readEntityByKey } from './odata-read.ts'

export const odata = defineReceiver({
  id: 'odata',
  title: 'OData service',
  summary:
    'Reads, queries, creates, changes and deletes entities of an OData service (V2 or V4), and calls its functions.',
  answers: true,
  config: odataConfig,
  examples: [
    {
      title: 'Cost centres of a company code, from S/4HANA',
      config: {
        url: 'https://s4.example/sap/opu/odata/sap/API_COSTCENTER_SRV',
        version: 'v2',
        auth: 'S4HANA_SANDBOX',
        query: {
          set: 'A_CostCenter',
          filter: 'CompanyCode eq ${message.query.company}',
          select: ['CostCenter', 'CompanyCode', 'ValidityEndDate'],
          orderby: ['CostCenter'],
        },
      },
    },
    {
      title: 'One account by an alternate key, through a connector',
      config: {
        url: 'https://crm.example/api/data/v9.2',
        version: 'v4',
        via: 'dc-frankfurt',
        auth: 'crm-application',
        read: { set: 'accounts', key: { accountnumber: '${message.body.number}' }, select: ['name'], missing: 'null' },
      },
    },
    {
      title: 'A change that gives way to newer ones',
      config: {
        url: 'https://s4.example/sap/opu/odata/sap/API_BUSINESS_PARTNER',
        version: 'v2',
        auth: 's4-technical-user',
        update: {
          set: 'A_BusinessPartner',
          key: { BusinessPartner: '${message.body.number}' },
          body: { SearchTerm1: '${message.body.term}' },
          etag: '${message.body.etag}',
        },
      },
    },
  ],
  errors: odataErrors,
  open: context => ODataReceiver.open(context),
})

const connectionsPerService = 64

class ODataReceiver implements Receiver {
  readonly #context: ReceiverContext<ODataConfig>
  readonly #agents: CertifiedAgents
  readonly #client: ODataClient

  constructor(context: ReceiverContext<ODataConfig>, ca: string | undefined) {
    const { config, connect, clock } = context
    this.#context = context
    this.#agents = new CertifiedAgents({
      connect: () => connect,
      via: config.via,
      tls: ca === undefined ? {} : { ca },
      connectTimeoutMs: Math.min(connectTimeoutMs, config.timeout / 2),
      connections: connectionsPerService,
      // The client holds the limits of its own; $metadata has a larger one.
      answerBytesMax: -1,
    })
    this.#client = new ODataClient({
      root: new URL(`${config.url.replace(/\/+$/, '')}/`),
      version: config.version,
      fields: config.parameters,
      headers: config.headers,
      logIn: refused => this.#logIn(refused),
      credential: config.auth ?? 'the receiver (it has none)',
      timeoutMs: config.timeout,
      now: () => clock.now(),
      isRenamed: config.via !== undefined,
      limits: { answerBytes: config['max-answer'], ...(config.query && { pages: config.query['max-pages'] }) },
    })
  }

  static async open(context: ReceiverContext<ODataConfig>): Promise<ODataReceiver> {
    const { config, folder } = context
    const file = config.ca === undefined ? undefined : resolve(folder, config.ca)
    return new ODataReceiver(context, file && (await readAuthority(file, odataErrors.CA_UNREADABLE)))
  }

  async deliver(message: Message, effect: Effect): Promise<Receipt> {
    const { config, limits } = this.#context
    const client = this.#client
    const model = config.metadata === 'read' ? await client.model(effect.signal) : undefined
    const at: Surroundings = { config, naming: client.naming, model, scope: effect.scope, message, limits }
    if (config.read) return readEntityByKey(client, at, config.read, effect)
    if (config.query) return queryEntities(client, at, config.query, effect)
    if (config.call) return callOperation(client, at, config.call, effect)
    if (config.batch) return changeTogether(client, at, config.batch, effect, this.#context.clock.now())
    return changeEntity(client, at, effect)
  }

  /** Asks the service for its root, which proves line, log-in and service, and its $metadata for the names. */
  async check(): Promise<CheckResult> {
    const { config } = this.#context
    const signal = AbortSignal.any([this.#context.signal, AbortSignal.timeout(config.timeout)])
    try {
      const server = await this.#client.check(signal)
      if (config.metadata === 'none') return { ok: true, detail: `${server} knows this hub` }
      const model = await this.#client.model(signal)
      const { read, query, create, update, upsert, delete: remove, call, batch } = config
      const [first] = batch?.changes ?? []
      const together = first?.create ?? first?.update ?? first?.delete
      const set = (read ?? query ?? create ?? update ?? upsert ?? remove ?? call?.on ?? together)?.set
      if (set !== undefined) entityTypeOf(model, set, server)
      return { ok: true, detail: `${server} knows this hub and offers ${set ?? `${model.sets.size} entity sets`}` }
    } catch (thrown) {
      return { ok: false, error: asHubError(thrown) }
    }
  }

  async close(): Promise<void> {
    await this.#agents.close()
  }

  async #logIn(refused: string | undefined): Promise<ODataLogIn> {
    const { config, credential } = this.#context
    const value = config.auth === undefined ? undefined : await credential(config.auth)
    const proof = value ? await proofOf(value, refused) : noProof
    if (!proof) throw odataErrors.CREDENTIAL_UNFIT({ credential: config.auth, kind: value?.kind })
    const { header, token, certificate } = proof
    return {
      header,
      token,
      identity: `${header?.[1] ?? ''}\n${certificate?.cert ?? ''}`,
      dispatcher: () => this.#agents.agentFor(certificate),
    }
  }
}
