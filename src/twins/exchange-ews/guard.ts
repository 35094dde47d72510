import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import {
  avIds,
  hmacMd5,
  ntlmKey,
  readNtlmAuthenticate,
  splitUser,
  windowsTime,
  writeAvPairs,
} from '../../protocols/ews/ntlm.ts'
import type { TwinAccount } from './session.ts'

export type AuthKind = 'basic' | 'ntlm' | 'bearer'

export interface GuardOptions {
  readonly accounts: readonly TwinAccount[]
  readonly offers: readonly AuthKind[]
  /** The account behind an access token. */
  readonly verifyToken: ((token: string) => string | undefined) | undefined
  /** What a log-in by NTLM must be bound to (Extended Protection); undefined asks for nothing. */
  readonly channel: Buffer | undefined
  readonly now: () => number
}

/** What becomes of a request: an account, or the headers of a 401. */
export type Judgement =
  | { readonly account: TwinAccount; readonly how: string }
  | { readonly challenge: readonly string[] }

/** Log-in as IIS in front of Exchange does it. NTLM proves a connection, the others each request. */
export class EwsGuard {
  readonly #options: GuardOptions
  readonly #challenges = new WeakMap<Socket, Buffer>()
  readonly #proven = new WeakMap<Socket, TwinAccount>()

  constructor(options: GuardOptions) {
    this.#options = options
  }

  judge(request: IncomingMessage): Judgement {
    const { offers } = this.#options
    const [, scheme = '', value = ''] = /^(\w+) (\S+)$/.exec(request.headers.authorization ?? '') ?? []
    const kind = scheme.toLowerCase()
    if (kind === 'ntlm' && offers.includes('ntlm')) return this.#byNtlm(request.socket, Buffer.from(value, 'base64'))
    if (kind === '') {
      const account = this.#proven.get(request.socket)
      return account ? { account, how: 'ntlm' } : this.#refused()
    }
    const account =
      kind === 'basic' && offers.includes('basic')
        ? this.#byPassword(value)
        : kind === 'bearer' && offers.includes('bearer')
          ? this.#named(this.#options.verifyToken?.(value))
          : undefined
    return account ? { account, how: kind } : this.#refused()
  }

  #refused(): Judgement {
    const headers = this.#options.offers.map(
      kind => ({ basic: 'Basic realm="mail.contoso.example"', ntlm: 'NTLM', bearer: 'Bearer' })[kind],
    )
    return { challenge: headers }
  }

  #byPassword(value: string): TwinAccount | undefined {
    const [, user = '', password = ''] = /^([^:]*):(.*)$/s.exec(Buffer.from(value, 'base64').toString()) ?? []
    const account = this.#named(user)
    return account?.password === password ? account : undefined
  }

  #named(user: string | undefined): TwinAccount | undefined {
    const wanted = user?.toLowerCase()
    return this.#options.accounts.find(account => account.user.toLowerCase() === wanted)
  }

  #byNtlm(socket: Socket, message: Buffer): Judgement {
    const type = message.length >= 12 ? message.readUInt32LE(8) : 0
    if (type === 1) {
      const challenge = randomBytes(8)
      this.#challenges.set(socket, challenge)
      return { challenge: [`NTLM ${challengeMessage(challenge, this.#options.now()).toString('base64')}`] }
    }
    const challenge = this.#challenges.get(socket)
    this.#challenges.delete(socket)
    const given = readNtlmAuthenticate(message)
    if (type !== 3 || !challenge || !given) return this.#refused()
    const account = this.#options.accounts.find(each => {
      const { user, domain } = splitUser(each.user)
      return user.toLowerCase() === given.user.toLowerCase() && domain.toLowerCase() === given.domain.toLowerCase()
    })
    if (!account) return this.#refused()
    const key = ntlmKey({ user: given.user, domain: given.domain, password: account.password })
    if (!hmacMd5(key, challenge, given.blob).equals(given.proof)) return this.#refused()
    const { channel } = this.#options
    const bound = given.pairs.find(pair => pair.id === avIds.channel)?.value
    if (channel && !(bound && channel.equals(bound))) return this.#refused()
    this.#proven.set(socket, account)
    return { account, how: 'ntlm' }
  }
}

/** The second message of NTLM (MS-NLMP section 2.2.1.2). */
function challengeMessage(challenge: Buffer, now: number): Buffer {
  const target = Buffer.from('CONTOSO', 'utf16le')
  const info = writeAvPairs([
    { id: avIds.domain, value: target },
    { id: avIds.computer, value: Buffer.from('MAIL', 'utf16le') },
    { id: avIds.time, value: windowsTime(now) },
  ])
  const head = Buffer.alloc(56)
  head.write('NTLMSSP\0', 'latin1')
  head.writeUInt32LE(2, 8)
  head.writeUInt16LE(target.length, 12)
  head.writeUInt16LE(target.length, 14)
  head.writeUInt32LE(head.length, 16)
  head.writeUInt32LE(0xa2898205, 20)
  challenge.copy(head, 24)
  head.writeUInt16LE(info.length, 40)
  head.writeUInt16LE(info.length, 42)
  head.writeUInt32LE(head.length + target.length, 44)
  Buffer.from('0a00634500000f0f', 'hex').copy(head, 48)
  return Buffer.concat([head, target, info])
}
