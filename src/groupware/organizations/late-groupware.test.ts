import { expect, test } from 'vitest'
import { MemoryRecords } from '../../auth/records-world.ts'
import { silentLog } from '../../kernel/log.ts'
import { systemClock } from '../../kernel/time.ts'
import { makeConnect } from '../../protocols/net/connect.ts'
import { createLateGroupware } from './late-groupware.ts'

test('a sync that cannot be opened does not keep the hub from starting, says why, and is opened when it is mended', async () => {
  const records = new MemoryRecords()
  await records.write('groupware-organization', 'contoso', { name: 'contoso', access: 'carrier pigeons' })
  const late = createLateGroupware({
    records,
    clock: systemClock,
    log: silentLog,
    dataFolder: ':memory:',
    connect: makeConnect(),
    credential: () => Promise.reject(new Error('there is none')),
  })
  await late.start()
  expect(late.opened()).toBeUndefined()
  expect(late.failure()?.error).toMatchObject({ code: 'ORGANIZATION_STORE_UNREADABLE', side: 'hub' })
  await expect(late.load()).rejects.toMatchObject({ code: 'ORGANIZATION_STORE_UNREADABLE' })
  await records.remove('groupware-organization', 'contoso')
  expect((await late.load()).organizations()).toEqual([])
  expect(late.failure()).toBeUndefined()
  await late.close()
})
