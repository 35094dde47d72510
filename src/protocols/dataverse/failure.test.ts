import { describe, expect, test } from 'vitest'
import { HOUR, MINUTE } from '../../kernel/time.ts'
import { dataverseFailure } from './failure.ts'

const context = { server: 'contoso.crm4.dynamics.com', credential: 'dynamics', path: 'accounts', now: 0 }
const fail = (status: number, body: string, headers: Readonly<Record<string, string>> = {}) =>
  dataverseFailure(
    { status, headers: { 'content-type': 'application/json', ...headers }, body: Buffer.from(body) },
    context,
  )
const error = (code: string, message: string) => JSON.stringify({ error: { code, message } })

describe('errors of Dataverse', () => {
  test.each<[number, string, string, string, 'soon' | 'after-change' | 'never']>([
    [
      400,
      '0x80044331',
      "The length of the 'name' attribute exceeded the maximum allowed length of '160'.",
      'VALUE_REFUSED',
      'never',
    ],
    [
      400,
      '0x80048d19',
      "The property 'nam' does not exist on type 'Microsoft.Dynamics.CRM.account'.",
      'COLUMN_UNKNOWN',
      'after-change',
    ],
    [
      400,
      '',
      'The specified key attributes are not a defined key for the account entity',
      'KEY_NOT_THERE',
      'after-change',
    ],
    [400, '0x80040265', 'An error occurred in the plug-in.', 'PLUGIN_REFUSED', 'never'],
    [400, '0x80040216', 'An unexpected error occurred.', 'REFUSED', 'never'],
    [400, '', 'Bad request', 'REFUSED', 'never'],
    [400, '', 'Cannot Update a Read-Only Entity', 'READ_ONLY', 'never'],
    [403, '0x80048d0d', 'Cannot update a read-only entity.', 'READ_ONLY', 'never'],
    [400, '0x80040203', 'The detail cannot be updated because the parent is not editable.', 'READ_ONLY', 'never'],
    [401, '', 'Unauthorized', 'LOGIN_REFUSED', 'after-change'],
    [403, '0x80040220', 'Principal user is missing prvWriteAccount privilege', 'FORBIDDEN', 'after-change'],
    [403, '0x80072560', 'The user is not a member of the organization.', 'FORBIDDEN', 'after-change'],
    [404, '0x80040217', 'account With Id = 1 Does Not Exist', 'NOT_FOUND', 'never'],
    [404, '', 'account With Id = 1 Does Not Exist', 'NOT_FOUND', 'never'],
    [404, '0x8006088a', "Resource not found for the segment 'acounts'.", 'TABLE_UNKNOWN', 'after-change'],
    [404, '', "Resource not found for the segment 'acounts'.", 'TABLE_UNKNOWN', 'after-change'],
    [405, '', 'Method not allowed', 'REFUSED', 'never'],
    [412, '', 'A record with matching key values already exists.', 'EXISTS_ALREADY', 'never'],
    [412, '0x80040237', 'Cannot insert duplicate key.', 'EXISTS_ALREADY', 'never'],
    [412, '0x80060892', 'Entity Key new_sapkey violated.', 'EXISTS_ALREADY', 'never'],
    [
      412,
      '',
      'Entity Key Account Number violated. A record with the same value for Account Number already exists. A duplicate record cannot be created.',
      'EXISTS_ALREADY',
      'never',
    ],
    [
      412,
      '',
      'A record that has the attribute values SAP key already exists. The entity key requires that they are unique.',
      'EXISTS_ALREADY',
      'never',
    ],
    [
      412,
      '',
      "The version of the existing record doesn't match the RowVersion property provided.",
      'CHANGED_MEANWHILE',
      'never',
    ],
    [412, '0x80060882', 'version', 'CHANGED_MEANWHILE', 'never'],
    [412, '0x80040333', 'A duplicate of the current record already exists.', 'DUPLICATE_SUSPECTED', 'never'],
    [412, '', 'A duplicate of the current record already exists.', 'DUPLICATE_SUSPECTED', 'never'],
    [500, '0x80040333', 'A duplicate of the current record already exists.', 'DUPLICATE_SUSPECTED', 'never'],
    [400, '0x80060892', 'Entity Key new_sapkey violated.', 'EXISTS_ALREADY', 'never'],
    [413, '', 'Too large', 'TOO_LARGE', 'never'],
    [429, '0x80072322', 'Number of requests exceeded the limit', 'THROTTLED', 'soon'],
    [429, '0x80072321', 'Combined execution time', 'THROTTLED', 'soon'],
    [429, '0x80072326', 'Number of concurrent requests', 'THROTTLED', 'soon'],
    [429, '', '', 'THROTTLED', 'soon'],
    [500, '0x80040224', 'An unexpected error occurred.', 'SERVER_FAILED', 'soon'],
    [500, '0x80044151', 'SQL timeout expired.', 'SERVER_FAILED', 'soon'],
    [501, '', 'Not implemented', 'SERVER_FAILED', 'soon'],
    [503, '', 'Unavailable', 'UNAVAILABLE', 'soon'],
    [302, '', '', 'REDIRECTED', 'after-change'],
  ])('%i %s "%s" is %s', (status, code, message, name, retry) => {
    expect(fail(status, error(code, message))).toMatchObject({ code: `DATAVERSE_${name}`, retry, side: 'receiver' })
  })

  test('a page that is not of Dataverse says nothing of a record: an environment that is gone, a proxy', () => {
    const page = '<html><title>404 - File or directory not found.</title></html>'
    expect(fail(404, page, { 'content-type': 'text/html' })).toMatchObject({
      code: 'DATAVERSE_UNAVAILABLE',
      retry: 'soon',
      isAboutMessage: false,
    })
    expect(fail(404, '', { 'content-type': '' })).toMatchObject({ code: 'DATAVERSE_UNAVAILABLE' })
  })

  test('an error that begins with a byte order mark, or is XML with one, keeps its code', () => {
    const plugin = `\ufeff${error('0x80040265', 'An error occurred in the plug-in.')}`
    expect(fail(400, plugin)).toMatchObject({ code: 'DATAVERSE_PLUGIN_REFUSED' })
    const xml = '\ufeff<?xml version="1.0"?><error><code>0x80040265</code><message>No.</message></error>'
    expect(fail(400, xml, { 'content-type': 'application/xml' })).toMatchObject({ code: 'DATAVERSE_PLUGIN_REFUSED' })
  })

  test('a time that no Dynamics 365 names, such as that of a broken proxy, holds nothing up for longer than an hour', () => {
    expect(fail(429, error('', ''), { 'retry-after': '999999999' }).retryAfterMs).toBe(HOUR)
    expect(fail(503, error('', ''), { 'retry-after': 'Fri, 31 Dec 9999 23:59:59 GMT' }).retryAfterMs).toBe(HOUR)
    expect(fail(429, error('', ''), { 'retry-after': '300' }).retryAfterMs).toBe(5 * MINUTE)
  })

  test('the words of Dataverse and its wish to wait are kept', () => {
    const throttled = fail(429, error('0x80072322', 'Number of requests exceeded the limit of 6000.'), {
      'retry-after': '37',
    })
    expect(throttled).toMatchObject({ retryAfterMs: 37_000, isThrottling: true })
    expect(throttled.message).toContain('exceeded the limit of 6000')
    expect(fail(409, error('0x80040237', 'Cannot insert duplicate key.')).message).toContain('(409 0x80040237)')
    expect(fail(503, '', { 'retry-after': 'Thu, 01 Jan 1970 00:01:00 GMT' }).retryAfterMs).toBe(60_000)
  })

  test.each([
    '',
    '{',
    'null',
    '[]',
    '{"error":"x"}',
    '<html>proxy</html>',
    '{"error":{"code":5,"message":{"a":1}}}',
    '\u0000',
  ])('a body that says nothing useful (%j) is no second failure', body => {
    expect(fail(500, body)).toMatchObject({ code: 'DATAVERSE_SERVER_FAILED' })
    expect(fail(404, body)).toMatchObject({ code: 'DATAVERSE_NOT_FOUND' })
  })
})
