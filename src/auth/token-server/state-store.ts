import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { errors } from 'oidc-provider'
import { HubError } from '../../kernel/error.ts'
import type { Json, JsonObject } from '../../kernel/json.ts'
import { type Clock, SECOND } from '../../kernel/time.ts'
import type { Records } from '../../store/port.ts'
import { networkOf } from '../service/failure-limit.ts'
import { type DeniedTokens, familyOf } from './denied-tokens.ts'
import { OpenLogIns } from './open-log-ins.ts'
import { tokenLimits } from './token-limits.ts'

/**
 * Codes, refresh tokens, sessions, grants and begun log-ins of oidc-provider on the hub's records. A record lies under
 * the hash of its id and is encrypted with a key made from that id, so whoever reads the store has neither a token nor
 * what belongs to it: only the token itself opens its record.
 */
export interface StateStore {
  /** The storage of one model, in the shape that oidc-provider asks for. */
  shelf(model: string): StateShelf
  /** Removes what has expired. Returns how many. */
  purge(): Promise<number>
}

interface StateShelf {
  find(id: string): Promise<Payload | undefined>
  findByUid(uid: string): Promise<Payload | undefined>
  upsert(id: string, payload: Payload, expiresInSeconds: number): Promise<void>
  consume(id: string): Promise<void>
  destroy(id: string): Promise<void>
  revokeByGrantId(grantId: string): Promise<void>
}

type Payload = { readonly [key: string]: unknown; readonly grantId?: string; readonly uid?: string }

const area = 'token-state'
const uidModel = 'SessionUid'

interface StateOptions {
  readonly records: Pick<Records, 'read' | 'list' | 'write' | 'remove'>
  readonly clock: Clock
  readonly denied: DeniedTokens
  /** Of the request that is answered now. */
  callerAddress(): string
}

export async function openStateStore(options: StateOptions): Promise<StateStore> {
  const { records, clock, denied } = options
  const openLogIns = new OpenLogIns()
  await settleLogIns()

  async function settleLogIns(): Promise<void> {
    const ids = (await records.list(area)).map(({ id }) => id)
    openLogIns.settle(ids.filter(id => id.startsWith('Interaction.')))
  }

  function shelf(model: string): StateShelf {
    async function find(id: string): Promise<Payload | undefined> {
      const record = await records.read(area, recordId(model, id))
      const value = record && asState(record.value)
      if (!value || value.until <= clock.now()) return undefined
      const payload = JSON.parse(decrypt(model, id, value.sealed)) as Payload
      if (payload.grantId !== undefined && denied.isDenied('family', familyOf(payload.grantId))) return undefined
      return value.consumedAt === undefined ? payload : { ...payload, consumed: Math.floor(value.consumedAt / SECOND) }
    }

    /** Ends all that came from a grant: refresh tokens and codes with the grant itself, access tokens by their family. */
    async function endFamily(grantId: string): Promise<void> {
      await denied.deny('family', familyOf(grantId), clock.now() + tokenLimits.accessTokenMsMax)
      await records.remove(area, recordId('Grant', grantId))
    }

    return {
      find,
      async findByUid(uid) {
        const record = await records.read(area, recordId(uidModel, uid))
        return record && find(decrypt(uidModel, uid, asState(record.value).sealed))
      },
      async upsert(id, payload, expiresInSeconds) {
        const until = clock.now() + expiresInSeconds * SECOND
        const key = recordId(model, id)
        if (model === 'Interaction' && !(await records.read(area, key))) {
          const gone = openLogIns.begin(key, networkOf(options.callerAddress()))
          if (gone !== undefined) await records.remove(area, gone)
        }
        await records.write(area, key, { until, sealed: encrypt(model, id, JSON.stringify(payload)) })
        if (model === 'Session' && payload.uid !== undefined) {
          const sealed = encrypt(uidModel, payload.uid, id)
          await records.write(area, recordId(uidModel, payload.uid), { until, sealed })
        }
      },
      async consume(id) {
        const key = recordId(model, id)
        const record = await records.read(area, key)
        if (!record) throw new errors.InvalidGrant()
        const value = asState(record.value)
        try {
          if (value.consumedAt !== undefined) throw new errors.InvalidGrant()
          await records.write(area, key, { ...value, consumedAt: clock.now() }, record.revision)
        } catch (thrown) {
          // Two requests brought the same code or token at once: one of them is not the client's.
          const { grantId } = JSON.parse(decrypt(model, id, value.sealed)) as Payload
          if (grantId !== undefined) await endFamily(grantId)
          if (thrown instanceof HubError && thrown.code === 'STORE_CHANGED_MEANWHILE') throw new errors.InvalidGrant()
          throw thrown
        }
      },
      async destroy(id) {
        openLogIns.end(recordId(model, id))
        await records.remove(area, recordId(model, id))
      },
      revokeByGrantId: endFamily,
    }
  }

  return {
    shelf,
    async purge() {
      const over = (await records.list(area)).filter(({ value }) => asState(value).until <= clock.now())
      for (const { id } of over) await records.remove(area, id)
      await settleLogIns()
      return over.length
    },
  }
}

type State = JsonObject & { readonly until: number; readonly sealed: string; readonly consumedAt?: number }

// The shape that `upsert` and `consume` write; nobody else writes this area.
function asState(value: Json): State {
  return value as State
}

function recordId(model: string, id: string): string {
  return `${model}.${createHash('sha256').update(`isthmus/token-id/v1\0${model}\0${id}`).digest('base64url')}`
}

function keyOf(model: string, id: string): Buffer {
  return createHash('sha256').update(`isthmus/token-state/v1\0${model}\0${id}`).digest()
}

const ivBytes = 12
const tagBytes = 16

function encrypt(model: string, id: string, text: string): string {
  const iv = randomBytes(ivBytes)
  const cipher = createCipheriv('aes-256-gcm', keyOf(model, id), iv, { authTagLength: tagBytes })
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  return Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64')
}

function decrypt(model: string, id: string, sealed: string): string {
  const bytes = Buffer.from(sealed, 'base64')
  const iv = bytes.subarray(0, ivBytes)
  const decipher = createDecipheriv('aes-256-gcm', keyOf(model, id), iv, { authTagLength: tagBytes })
  decipher.setAuthTag(bytes.subarray(ivBytes, ivBytes + tagBytes))
  return decipher.update(bytes.subarray(ivBytes + tagBytes)).toString('utf8') + decipher.final('utf8')
}
