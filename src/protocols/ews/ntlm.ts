import { createHash, createHmac, randomBytes } from 'node:crypto'
import { md4 } from './md4.ts'

/** Who logs in. `DOMAIN\user` and `user@domain` are both understood. */
export interface NtlmUser {
  readonly user: string
  readonly domain: string
  readonly password: string
}

/** What a server's challenge says (MS-NLMP section 2.2.1.2). */
export interface NtlmChallenge {
  readonly challenge: Buffer
  readonly flags: number
  /** AV pairs by id, in their order; without the one that ends the list. */
  readonly targetInfo: readonly AvPair[]
}

export interface AvPair {
  readonly id: number
  readonly value: Buffer
}

/** Ids of AV pairs (MS-NLMP section 2.2.2.1). */
export const avIds = { end: 0, computer: 1, domain: 2, flags: 6, time: 7, target: 9, channel: 10 } as const

const signature = Buffer.from('NTLMSSP\0', 'latin1')

// Unicode, request target, NTLM, always sign, extended session security, target info, version, 128 and 56 bit.
const clientFlags = 0xa2888205
// Windows 10 as most clients say, NTLM revision 15; it is of no consequence.
const version = Buffer.from('0a00614a0000000f', 'hex')

/** A user name as people write it, in its parts. */
export function splitUser(name: string): { readonly user: string; readonly domain: string } {
  const at = name.indexOf('\\')
  return at < 0 ? { user: name, domain: '' } : { user: name.slice(at + 1), domain: name.slice(0, at) }
}

/** The first message: what this client can do. */
export function ntlmNegotiate(): Buffer {
  const message = Buffer.alloc(40)
  signature.copy(message)
  message.writeUInt32LE(1, 8)
  message.writeUInt32LE(clientFlags, 12)
  version.copy(message, 32)
  return message
}

/** The server's message; undefined for anything that is none. */
export function readNtlmChallenge(message: Buffer): NtlmChallenge | undefined {
  if (message.length < 32 || !message.subarray(0, 8).equals(signature) || message.readUInt32LE(8) !== 2)
    return undefined
  const flags = message.readUInt32LE(20)
  const info = message.length >= 48 ? field(message, 40) : Buffer.alloc(0)
  const targetInfo = info === undefined ? undefined : readAvPairs(info)
  if (targetInfo === undefined) return undefined
  return { challenge: Buffer.from(message.subarray(24, 32)), flags, targetInfo }
}

export interface NtlmAnswerOptions {
  readonly user: NtlmUser
  readonly negotiate: Buffer
  readonly challengeMessage: Buffer
  readonly challenge: NtlmChallenge
  /** Hash of the TLS certificate (`channelBinding`), where the connection is TLS. */
  readonly channel?: Buffer | undefined
  /** `HTTP/mail.x.example` */
  readonly target: string
  readonly now: number
  /** 8 bytes; random where it is left out. */
  readonly clientChallenge?: Buffer
}

/** The third message: the proof by NTLMv2 (MS-NLMP section 3.3.2), signed over all three where the server gives its time. */
export function ntlmAuthenticate(options: NtlmAnswerOptions): Buffer {
  const { user, challenge, channel, target } = options
  const clientChallenge = options.clientChallenge ?? randomBytes(8)
  const key = ntlmKey(user)
  const time = challenge.targetInfo.find(pair => pair.id === avIds.time)?.value
  const pairs = [
    ...challenge.targetInfo,
    // Bit 2: the message carries an integrity code.
    ...(time ? [{ id: avIds.flags, value: Buffer.from([2, 0, 0, 0]) }] : []),
    ...(channel ? [{ id: avIds.channel, value: channel }] : []),
    { id: avIds.target, value: utf16(target) },
  ]
  const proof = ntlmProof({
    key,
    serverChallenge: challenge.challenge,
    clientChallenge,
    time: time ?? windowsTime(options.now),
    pairs,
  })
  const lm = time
    ? Buffer.alloc(24)
    : Buffer.concat([hmacMd5(key, challenge.challenge, clientChallenge), clientChallenge])
  const payload = [lm, proof.response, utf16(user.domain), utf16(user.user), utf16('ISTHMUS'), Buffer.alloc(0)]
  const head = Buffer.alloc(88)
  signature.copy(head)
  head.writeUInt32LE(3, 8)
  let offset = head.length
  for (const [index, part] of payload.entries()) {
    head.writeUInt16LE(part.length, 12 + index * 8)
    head.writeUInt16LE(part.length, 14 + index * 8)
    head.writeUInt32LE(offset, 16 + index * 8)
    offset += part.length
  }
  head.writeUInt32LE((clientFlags & challenge.flags) >>> 0, 60)
  version.copy(head, 64)
  const message = Buffer.concat([head, ...payload])
  if (time) hmacMd5(proof.sessionKey, options.negotiate, options.challengeMessage, message).copy(message, 72)
  return message
}

/** What a third message says, for whoever has to judge it; undefined for anything that is none. */
export function readNtlmAuthenticate(message: Buffer) {
  if (message.length < 64 || !message.subarray(0, 8).equals(signature) || message.readUInt32LE(8) !== 3)
    return undefined
  const [response, domain, user] = [field(message, 20), field(message, 28), field(message, 36)]
  if (!response || !domain || !user || response.length < 48) return undefined
  const blob = response.subarray(16)
  const pairs = readAvPairs(blob.subarray(28))
  if (!pairs) return undefined
  return {
    user: user.toString('utf16le'),
    domain: domain.toString('utf16le'),
    proof: response.subarray(0, 16),
    blob,
    pairs,
    code: message.length >= 88 ? message.subarray(72, 88) : undefined,
  }
}

/** NTOWFv2 (MS-NLMP section 3.3.2): all that is needed of a password. */
export function ntlmKey({ user, domain, password }: NtlmUser): Buffer {
  return hmacMd5(md4(utf16(password)), utf16(user.toUpperCase() + domain))
}

/** The NTLMv2 response and the key of the session. */
export function ntlmProof(parts: {
  readonly key: Buffer
  readonly serverChallenge: Buffer
  readonly clientChallenge: Buffer
  /** 8 bytes, 100 ns since 1601. */
  readonly time: Buffer
  readonly pairs: readonly AvPair[]
}): { readonly response: Buffer; readonly sessionKey: Buffer } {
  const { key, serverChallenge, clientChallenge, time, pairs } = parts
  const blob = Buffer.concat([
    Buffer.from([1, 1, 0, 0, 0, 0, 0, 0]),
    time,
    clientChallenge,
    Buffer.alloc(4),
    writeAvPairs(pairs),
    Buffer.alloc(4),
  ])
  const proof = hmacMd5(key, serverChallenge, blob)
  return { response: Buffer.concat([proof, blob]), sessionKey: hmacMd5(key, proof) }
}

/**
 * What binds a log-in to the TLS connection below it (RFC 5929 `tls-server-end-point`, RFC 2744 section 3.11 for the
 * frame around it). Exchange 2019 CU14 and later refuse NTLM without (Extended Protection).
 */
export function channelBinding(certificate: Uint8Array, hashName: string): Buffer {
  const digest = createHash(hashName).update(certificate).digest()
  const data = Buffer.concat([Buffer.from('tls-server-end-point:'), digest])
  const frame = Buffer.alloc(20)
  frame.writeUInt32LE(data.length, 16)
  return createHash('md5').update(frame).update(data).digest()
}

export function writeAvPairs(pairs: readonly AvPair[]): Buffer {
  const parts: Buffer[] = []
  for (const { id, value } of [...pairs, { id: avIds.end, value: Buffer.alloc(0) }]) {
    const head = Buffer.alloc(4)
    head.writeUInt16LE(id, 0)
    head.writeUInt16LE(value.length, 2)
    parts.push(head, value)
  }
  return Buffer.concat(parts)
}

function readAvPairs(bytes: Buffer): readonly AvPair[] | undefined {
  const pairs: AvPair[] = []
  for (let at = 0; at + 4 <= bytes.length; ) {
    const [id, length] = [bytes.readUInt16LE(at), bytes.readUInt16LE(at + 2)]
    if (id === avIds.end) return pairs
    if (at + 4 + length > bytes.length) return undefined
    pairs.push({ id, value: Buffer.from(bytes.subarray(at + 4, at + 4 + length)) })
    at += 4 + length
  }
  return bytes.length === 0 ? pairs : undefined
}

export function hmacMd5(key: Buffer, ...parts: readonly Uint8Array[]): Buffer {
  const hmac = createHmac('md5', key)
  for (const part of parts) hmac.update(part)
  return hmac.digest()
}

/** Milliseconds since 1970 as Windows counts them: 100 ns since 1601. */
export function windowsTime(ms: number): Buffer {
  const time = Buffer.alloc(8)
  time.writeBigUInt64LE((BigInt(Math.floor(ms)) + 11_644_473_600_000n) * 10_000n)
  return time
}

function utf16(text: string): Buffer {
  return Buffer.from(text, 'utf16le')
}

function field(message: Buffer, at: number): Buffer | undefined {
  const [length, offset] = [message.readUInt16LE(at), message.readUInt32LE(at + 4)]
  return offset + length <= message.length ? message.subarray(offset, offset + length) : undefined
}
