import { expect, test } from 'vitest'
import { storeErrors } from '../errors.ts'
import { asStoreError } from './failure.ts'

const fault = (fields: object) => Object.assign(new Error('it failed'), fields)

test.each([
  ['SQLITE_FULL', { errcode: 13 }, 'STORE_FULL'],
  ['SQLITE_IOERR_FSYNC', { errcode: 10 | (4 << 8) }, 'STORE_FULL'],
  ['SQLITE_READONLY', { errcode: 8 }, 'STORE_FULL'],
  ['SQLITE_BUSY', { errcode: 5 }, 'STORE_FULL'],
  ['a full disk under a body', { code: 'ENOSPC' }, 'STORE_FULL'],
  ['a quota', { code: 'EDQUOT' }, 'STORE_FULL'],
  ['SQLITE_CORRUPT', { errcode: 11 }, 'STORE_DAMAGED'],
  ['SQLITE_NOTADB', { errcode: 26 }, 'STORE_DAMAGED'],
  ['SQLITE_CONSTRAINT', { errcode: 19 }, 'HUB_UNEXPECTED'],
  ['anything else', {}, 'HUB_UNEXPECTED'],
])('%s becomes an error that says whose turn it is', (_name, fields, code) => {
  const cause = fault(fields)
  expect(asStoreError(cause)).toMatchObject({ code, cause })
})

test('an error of the hub stays what it is', () => {
  const known = storeErrors.CLOSED()
  expect(asStoreError(known)).toBe(known)
})
