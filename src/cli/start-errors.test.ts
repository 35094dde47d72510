import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { storeErrors } from '../store/errors.ts'
import { asStoreError } from '../store/sqlite/failure.ts'
import { asStartError } from './start-errors.ts'

let folder = ''
afterEach(() => rm(folder, { recursive: true, force: true }))

/** What a start throws that meets this. */
const met = (work: Promise<unknown>) => work.then(() => undefined, asStartError)

async function listen(port: number, host = '127.0.0.1') {
  const server = createServer().listen(port, host)
  await once(server, 'listening')
  return server
}

test('an address that another program has is named, with what to do', async () => {
  const other = await listen(0)
  const { port } = other.address() as AddressInfo
  expect(await met(listen(port))).toMatchObject({
    code: 'START_ADDRESS_TAKEN',
    message: `Another program listens at 127.0.0.1:${port} already.`,
  })
  other.close()
})

test('an address that this machine does not have is refused in words', async () => {
  // A documentation address (RFC 5737) belongs to no machine.
  expect(await met(listen(0, '192.0.2.1'))).toMatchObject({ code: 'START_ADDRESS_REFUSED' })
  expect(await met(lookup('no-such-host.invalid'))).toMatchObject({
    code: 'START_ADDRESS_REFUSED',
    message: expect.stringContaining('no-such-host.invalid'),
  })
})

test('a data folder that cannot be used is named, also by what the store throws', async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-start-'))
  const file = join(folder, 'data')
  await writeFile(file, 'no folder')
  const fromStore = async (): Promise<unknown> => {
    try {
      return await mkdir(file)
    } catch (cause) {
      throw asStoreError(cause)
    }
  }
  for (const failing of [() => mkdir(file), fromStore]) {
    expect(await met(failing())).toMatchObject({
      code: 'START_FILE_REFUSED',
      message: expect.stringContaining(file),
    })
  }
})

test('a database whose host nobody knows is no address of ours', async () => {
  const cause = await lookup('no-such-host.invalid').catch((thrown: unknown) => thrown)
  const unreachable = storeErrors.UNREACHABLE({ database: 'isthmus', address: 'db:5432', text: 'x' }, { cause })
  expect(asStartError(unreachable)).toBe(unreachable)
})

test('what says by itself what is wrong stays as it is', () => {
  const locked = storeErrors.LOCKED({ folder: 'data', pid: '7' })
  expect(asStartError(locked)).toBe(locked)
  const bug = new TypeError('x is undefined')
  expect(asStartError(bug)).toBe(bug)
})
