import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Log, type LogFields, silentLog } from '../../kernel/log.ts'
import { SimulatedClock } from '../../testing/simulated-clock.ts'
import { openCertificateAuthority } from '../certificate-authority.ts'
import { MemoryRecords } from '../records-world.ts'
import { openVault } from '../vault.ts'
import type { CreatedKey, ServiceInstance, ServiceUsers } from './model.ts'
import { openServiceUsers, type ServiceUsersOptions } from './service-users.ts'

export interface ServiceWorldOptions extends Partial<Pick<ServiceUsersOptions, 'externalAuthorities' | 'addresses'>> {
  readonly flowsAskingFor?: (role: string) => readonly string[]
  /** Otherwise one that stands still until the test moves it. */
  readonly startMs?: number
}

/** Service users on records in memory, under a clock that a test owns. */
export async function serviceWorld(options: ServiceWorldOptions = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-service-'))
  const records = new MemoryRecords()
  // Certificates are made by libraries that look at the real time only where they are told to.
  const clock = new SimulatedClock(options.startMs ?? Date.now())
  const vault = await openVault({ records, keyFile: join(folder, 'master.key') })
  const authority = await openCertificateAuthority({ records, vault, clock })
  const lines = recordingLog()

  function open(): Promise<ServiceUsers> {
    return openServiceUsers({
      records,
      vault,
      clock,
      log: lines.log,
      authority,
      addresses: () => ({ url: 'https://hub.example', tokenUrl: 'https://hub.example/oauth/token' }),
      ...options,
    })
  }

  let users = await open()
  return {
    records,
    clock,
    vault,
    authority,
    log: lines.log,
    /** Event and fields of each line, as JSON. */
    lines: lines.lines,
    users: () => users,
    /** As after a restart of the hub. */
    async reopen(): Promise<ServiceUsers> {
      await users.close()
      users = await open()
      return users
    },
    /** An instance with one key, and what its caller was given. */
    async caller(
      name: string,
      parameters: unknown = {},
      keyParameters?: unknown,
    ): Promise<
      CreatedKey & { readonly instance: ServiceInstance; readonly clientId: string; readonly secret: string }
    > {
      const instance = await users.createInstance({ name, parameters })
      const created = await users.createKey(instance.id, { name: 'first', parameters: keyParameters })
      const { clientid, clientsecret = '' } = created.document.oauth
      return { ...created, instance: users.getInstance(instance.id), clientId: clientid, secret: clientsecret }
    },
    async close(): Promise<void> {
      await users.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

export type ServiceWorld = Awaited<ReturnType<typeof serviceWorld>>

/** A log whose lines a test can read. */
export function recordingLog(): { readonly log: Log; readonly lines: string[] } {
  const lines: string[] = []
  const write = (event: string, fields?: LogFields) => void lines.push(JSON.stringify({ event, ...fields }))
  const log: Log = { ...silentLog, debug: write, info: write, warn: write, error: write, with: () => log }
  return { log, lines }
}
