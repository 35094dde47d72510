import { closeSync, openSync, readSync, statSync } from 'node:fs'
import type { DatabaseSync } from 'node:sqlite'
import { numberOf } from '../columns.ts'

const headerBytes = 32
const frameHeaderBytes = 24

/**
 * How many frames (pages) lie in the write-ahead log of a database behind one that is damaged. SQLite reads up to the last
 * whole transaction and says nothing of the rest, which is right where the process was killed in the midst of a write: then
 * nothing follows. Frames that follow were written, and mostly acknowledged, before the damage; after a power cut they
 * may be of a write that nobody was told of. Call it before the first write.
 */
export function countFramesBehindDamage(database: DatabaseSync, file: string): number {
  const bytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (bytes <= headerBytes) return 0
  // https://www.sqlite.org/fileformat2.html#the_write_ahead_log
  const readTo = numberOf(database.prepare('pragma wal_checkpoint(passive)').get()?.['log'])
  const log = openSync(file, 'r')
  try {
    const header = read(log, 0, headerBytes)
    const frameBytes = frameHeaderBytes + header.readUInt32BE(8)
    const frameCount = Math.floor((bytes - headerBytes) / frameBytes)
    const frame = (number: number, length: number) => read(log, headerBytes + (number - 1) * frameBytes, length)
    const sum = checksum(header.readUInt32BE(0) % 2 === 1)
    let sums = readTo > 0 ? sumsOf(frame(readTo, frameHeaderBytes), 16) : sumsOf(header, 24)
    let number = readTo + 1
    // What is whole and not committed: the process ended within a transaction.
    for (; number <= frameCount; number++) {
      const whole = frame(number, frameBytes)
      sums = sum(sum(sums, whole.subarray(0, 8)), whole.subarray(frameHeaderBytes))
      const [first, second] = sumsOf(whole, 16)
      if (!isOfLog(whole, header) || sums[0] !== first || sums[1] !== second) break
    }
    let behind = 0
    for (number += 1; number <= frameCount; number++) {
      if (isOfLog(frame(number, frameHeaderBytes), header)) behind += 1
    }
    return behind
  } finally {
    closeSync(log)
  }
}

type Sums = readonly [number, number]

function sumsOf(bytes: Buffer, at: number): Sums {
  return [bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)]
}

/** The salts tell the frames of this log from what an earlier one has left behind them. */
function isOfLog(frame: Buffer, header: Buffer): boolean {
  return frame.compare(header, 16, 24, 8, 16) === 0
}

function checksum(isBigEndian: boolean): (sums: Sums, bytes: Buffer) => Sums {
  return ([first, second], bytes) => {
    for (let at = 0; at < bytes.length; at += 8) {
      const [one, other] = isBigEndian
        ? [bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)]
        : [bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4)]
      first = (first + one + second) >>> 0
      second = (second + other + first) >>> 0
    }
    return [first, second]
  }
}

function read(file: number, position: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  readSync(file, bytes, 0, length, position)
  return bytes
}
