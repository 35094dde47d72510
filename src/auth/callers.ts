import type { Log } from '../kernel/log.ts'
import type { Clock } from '../kernel/time.ts'
import type { Store } from '../store/port.ts'
import { type Administrators, openAdministrators } from './administrators/administrators.ts'
import { openSessions, type Sessions } from './administrators/sessions.ts'
import { createLateAuthority, type LateAuthority } from './late-authority.ts'
import { openPeople, type People } from './people/people.ts'
import { createGuard } from './service/guard.ts'
import type { Guard, ServiceUsers } from './service/model.ts'
import { openServiceUsers } from './service/service-users.ts'
import { createLateTokenServer, type LateTokenServer } from './token-server/late-token-server.ts'
import type { SigningAlgorithm } from './token-server/token-limits.ts'
import type { TrustedIssuerInput } from './token-server/trusted-issuers.ts'
import type { Vault } from './vault.ts'

/** How the hub issues tokens. */
export interface TokenSettings {
  /** Origin that stands in tokens as issuer; the one of the endpoints when left out. */
  readonly issuer?: string | undefined
  readonly algorithm?: SigningAlgorithm
  /** Identity providers whose assertions about their users count. */
  readonly trusted?: readonly TrustedIssuerInput[]
}

export interface CallersOptions {
  readonly records: Pick<Store, 'read' | 'list' | 'write' | 'remove'>
  readonly vault: Vault
  readonly clock: Clock
  readonly log: Log
  /** Origin under which callers reach the endpoints, where it is known from the start. */
  readonly url?: string | undefined
  readonly clientAuthorities?: readonly string[]
  readonly tokens?: TokenSettings | undefined
  readonly flowsAskingFor: (role: string) => readonly string[]
}

/** Everything about those who call the hub: who they are, how they prove it, the tokens they get. */
export interface Callers {
  readonly users: ServiceUsers
  readonly people: People
  /** Those who look after the hub, and the browsers in which they are logged in. */
  readonly administrators: Administrators
  readonly sessions: Sessions
  readonly tokens: LateTokenServer
  readonly authority: LateAuthority
  readonly guard: Guard
  /** Where the endpoints listen, once they do; it counts where no origin was configured. */
  listensAt(origin: string): void
  /** Told of the reason of each refused call. */
  onRefused(listener: (reason: string) => void): void
  /** Seals what all of them keep anew with the first master key of the ring. Returns how many records. */
  reseal(): Promise<number>
  close(): Promise<void>
}

export async function openCallers(options: CallersOptions): Promise<Callers> {
  const { records, vault, clock, log, tokens: settings = {} } = options
  let origin = options.url ?? settings.issuer ?? ''
  const issuer = () => settings.issuer ?? origin
  const authority = createLateAuthority({ records, vault, clock, log })
  const people = await openPeople({ records, clock })
  const users = await openServiceUsers({
    records,
    vault,
    clock,
    log,
    authority,
    addresses: () => ({ url: origin, tokenUrl: `${issuer()}/oauth/token` }),
    flowsAskingFor: options.flowsAskingFor,
    people,
    externalAuthorities: options.clientAuthorities ?? [],
  })
  const hasCertificates = users
    .listInstances()
    .some(({ id }) => users.listKeys(id).some(({ kind }) => kind === 'certificate'))
  // Only the authority knows what it has revoked; before the first call it must be asked.
  if (hasCertificates) await authority.load()
  const administrators = await openAdministrators({ records, vault, clock, log })
  const sessions = await openSessions({ records, clock })
  const trusted = await readTrust(settings.trusted ?? [])
  const { algorithm } = settings
  const tokens = createLateTokenServer({
    issuer,
    records,
    vault,
    users,
    people,
    trusted,
    clock,
    log,
    ...(algorithm && { algorithm }),
  })
  let countRefusal = (_reason: string) => {}
  const guard = createGuard({ users, tokens: () => tokens, clock, log, onRefused: reason => countRefusal(reason) })

  return {
    users,
    people,
    administrators,
    sessions,
    tokens,
    authority,
    guard,
    listensAt(given) {
      origin ||= given
    },
    onRefused(listener) {
      countRefusal = listener
    },
    reseal: async () =>
      (await users.reseal()) +
      (await administrators.reseal()) +
      (await (await authority.load()).resealKeys()) +
      (await (await tokens.load()).reseal()),
    async close() {
      await tokens.close()
      await users.close()
      await authority.close()
    },
  }
}

async function readTrust(inputs: readonly TrustedIssuerInput[]) {
  if (inputs.length === 0) return new Map()
  const { readTrustedIssuers } = await import('./token-server/trusted-issuers.ts')
  return readTrustedIssuers(inputs)
}
