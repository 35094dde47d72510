import fs from 'node:fs'
import { open } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Loaded before the hub (`node --import`), it makes each flush of a file take BENCH_FLUSH_MS longer, as on a disk over the
 * network.
 */
const flushMs = Number(process.env['BENCH_FLUSH_MS'])

const { fdatasync } = fs
function slowly(descriptor: number, callback: fs.NoParamCallback): void {
  fdatasync(descriptor, error => setTimeout(callback, flushMs, error))
}
fs.fdatasync = Object.assign(slowly, { __promisify__: fdatasync.__promisify__ })
syncBuiltinESMExports()

const handle = await open(process.execPath)
const kind: { datasync(): Promise<void> } = Object.getPrototypeOf(handle)
const { datasync } = kind
kind.datasync = async function slowDatasync() {
  await datasync.call(this)
  await sleep(flushMs)
}
await handle.close()
