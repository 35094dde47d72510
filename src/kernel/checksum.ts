import { crc32 } from 'node:zlib'

const known = new WeakMap<Uint8Array, number>()

/** CRC-32 of bytes that do not change any more: reckoned once, however many ask for it. */
export function checksumOf(bytes: Uint8Array): number {
  let checksum = known.get(bytes)
  if (checksum === undefined) {
    checksum = crc32(bytes)
    known.set(bytes, checksum)
  }
  return checksum
}
