import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../kernel/time.ts'
import { type DataverseTwin, dataverseToken, startDataverse } from './dataverse.ts'
import { hubUserId } from './seed.ts'

let twin: DataverseTwin
beforeEach(async () => {
  twin = await startDataverse()
})
afterEach(() => twin.stop())

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly json: Record<string, unknown>
}

async function ask(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(`${twin.origin}/api/data/v9.2/${path}`, {
    method,
    headers: {
      accept: 'application/json',
      'odata-version': '4.0',
      'odata-maxversion': '4.0',
      authorization: `Bearer ${dataverseToken}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const text = await response.text()
  const json = (text.startsWith('{') ? JSON.parse(text) : {}) as Record<string, unknown>
  return { status: response.status, headers: response.headers, text, json }
}

const patch = (path: string, body: unknown, headers: Record<string, string> = {}) => ask('PATCH', path, body, headers)
const represent = { prefer: 'return=representation' }
const byNumber = "accounts(accountnumber='1001')"

describe('documented requests and answers', () => {
  test('PATCH by alternate key makes and changes with 204 and the address that was used', async () => {
    for (const name of ['ACME', 'ACME SE']) {
      const answer = await patch(byNumber, { name, creditlimit: 50000.0 })
      expect(answer).toMatchObject({ status: 204, text: '' })
      expect(answer.headers.get('odata-entityid')).toBe(`${twin.origin}/api/data/v9.2/${byNumber}`)
    }
    expect(twin.records('account')).toMatchObject([{ accountnumber: '1001', name: 'ACME SE', creditlimit: 50000 }])
  })

  test('return=representation tells 201 from 200, with ETag, id and the columns asked for', async () => {
    const made = await patch(`${byNumber}?$select=accountid`, { name: 'ACME' }, represent)
    expect(made).toMatchObject({
      status: 201,
      json: { '@odata.etag': expect.stringMatching(/^W\/"\d+"$/), accountid: expect.any(String) },
    })
    expect(made.json).not.toHaveProperty('name')
    expect(made.headers.get('preference-applied')).toBe('return=representation')
    const changed = await patch(`${byNumber}?$select=name`, { name: 'ACME' }, represent)
    expect(changed).toMatchObject({ status: 200, json: { accountid: made.json['accountid'], name: 'ACME' } })
  })

  test('POST answers 204 with the address of the id, or 201 with the record', async () => {
    const made = await ask('POST', 'accounts', { name: 'ACME' })
    expect(made.status).toBe(204)
    expect(made.headers.get('odata-entityid')).toMatch(/\/accounts\([0-9a-f-]{36}\)$/)
    expect((await ask('POST', 'accounts', { name: 'B' }, represent)).status).toBe(201)
  })

  test('If-Match: * only changes, If-None-Match: * only makes, a version changes that state alone', async () => {
    expect(await patch(byNumber, { name: 'A' }, { 'if-match': '*' })).toMatchObject({ status: 404 })
    const made = await patch(`${byNumber}?$select=accountid`, { name: 'A' }, { ...represent, 'if-none-match': '*' })
    expect(made.status).toBe(201)
    expect(await patch(byNumber, { name: 'B' }, { 'if-none-match': '*' })).toMatchObject({
      status: 412,
      json: { error: { message: 'A record with matching key values already exists.' } },
    })
    const etag = String(made.json['@odata.etag'])
    expect(await patch(byNumber, { name: 'B' }, { 'if-match': etag })).toMatchObject({ status: 204 })
    expect(await patch(byNumber, { name: 'C' }, { 'if-match': etag })).toMatchObject({
      status: 412,
      json: { error: { message: expect.stringContaining("doesn't match the RowVersion") } },
    })
    const unknown = await patch('accounts(11111111-2222-4333-8444-555555555555)', { name: 'C' }, { 'if-match': '*' })
    expect(unknown.json).toMatchObject({
      error: { message: expect.stringMatching(/^account With Id = .* Does Not Exist$/) },
    })
    // A PATCH of an unknown id makes a record with that id.
    expect(await patch('accounts(11111111-2222-4333-8444-555555555555)', { name: 'C' })).toMatchObject({ status: 204 })
    const read = await ask('GET', 'accounts(11111111-2222-4333-8444-555555555555)')
    expect(read.json).toMatchObject({ name: 'C' })
    const same = await ask('GET', byNumber, undefined, {
      'if-none-match': (await ask('GET', byNumber)).headers.get('etag') ?? '',
    })
    expect(same).toMatchObject({ status: 304, text: '' })
  })

  test('the key of the address is dropped from a change; on a new record the body wins', async () => {
    await patch(byNumber, { accountnumber: '2002', name: 'A' })
    expect(twin.records('account')).toMatchObject([{ accountnumber: '2002' }])
    await patch("accounts(accountnumber='2002')", { accountnumber: '3003', name: 'B' })
    expect(twin.records('account')).toMatchObject([{ accountnumber: '2002', name: 'B' }])
  })

  test('UpsertMultiple answers 204 without ids, all or none, and refuses the key in address and body', async () => {
    const path = 'accounts/Microsoft.Dynamics.CRM.UpsertMultiple'
    const type = { '@odata.type': 'Microsoft.Dynamics.CRM.account' }
    const target = { ...type, '@odata.id': byNumber, name: 'ACME' }
    expect(await ask('POST', path, { Targets: [target] })).toMatchObject({ status: 204, text: '' })
    const twice = { ...type, '@odata.id': "accounts(accountnumber='2')", accountnumber: '2', name: 'B' }
    expect(await ask('POST', path, { Targets: [{ ...target, name: 'changed' }, twice] })).toMatchObject({
      status: 400,
      json: { error: { code: '0x80040216' } },
    })
    expect(twin.records('account')).toMatchObject([{ name: 'ACME' }])
    expect(await ask('POST', path, { Targets: [{ name: 'x' }] })).toMatchObject({ status: 400 })
    const made = await ask('POST', 'accounts/Microsoft.Dynamics.CRM.CreateMultiple', {
      Targets: [{ ...type, name: 'C' }],
    })
    expect(made).toMatchObject({ status: 200, json: { Ids: [expect.any(String)] } })
  })

  test('keys of a table are listed as the metadata of Dataverse lists them', async () => {
    const path =
      "EntityDefinitions?$select=LogicalName,PrimaryIdAttribute&$filter=EntitySetName eq 'new_inventories'&$expand=Keys($select=KeyAttributes,EntityKeyIndexStatus)"
    expect((await ask('GET', path)).json['value']).toEqual([
      {
        LogicalName: 'new_inventory',
        PrimaryIdAttribute: 'new_inventoryid',
        Keys: [{ SchemaName: 'key_new_sapkey', KeyAttributes: ['new_sapkey'], EntityKeyIndexStatus: 'Active' }],
      },
    ])
  })

  test('WhoAmI, $metadata, query options and pages', async () => {
    expect((await ask('GET', 'WhoAmI')).json).toMatchObject({ UserId: hubUserId })
    expect((await ask('GET', '$metadata', undefined, { accept: 'application/xml' })).text).toContain(
      '<EntityType Name="new_inventory">',
    )
    for (const [name, creditlimit] of [
      ['b', 2],
      ['a', 1],
      ['c', 3],
    ])
      await ask('POST', 'accounts', { name, creditlimit })
    const names = async (query: string) =>
      ((await ask('GET', `accounts?${query}`)).json['value'] as { name: string }[]).map(({ name }) => name)
    expect(await names('$orderby=name desc')).toEqual(['c', 'b', 'a'])
    expect(await names("$filter=(name eq 'A' or creditlimit ge 3) and not contains(name,'x')&$orderby=name")).toEqual([
      'a',
      'c',
    ])
    expect(await names('$top=1&$orderby=creditlimit')).toEqual(['a'])
    const page = await ask('GET', 'accounts?$select=name&$count=true', undefined, { prefer: 'odata.maxpagesize=2' })
    expect(page.json).toMatchObject({ '@odata.count': 3, '@odata.nextLink': expect.stringContaining('$skiptoken=2') })
    const currency = await ask('GET', "transactioncurrencies(isocurrencycode='EUR')?$select=currencyname")
    await patch(byNumber, {
      'transactioncurrencyid@odata.bind': `/transactioncurrencies(${String(currency.json['transactioncurrencyid'])})`,
    })
    const expanded = await ask('GET', `${byNumber}?$select=name&$expand=transactioncurrencyid($select=isocurrencycode)`)
    expect(expanded.json).toMatchObject({ transactioncurrencyid: { isocurrencycode: 'EUR' } })
  })
})

describe('what does not fit is refused', () => {
  test.each<[string, unknown, number, string, string]>([
    ['a name that is not there', { nam: 'x' }, 400, '0x80048d19', "The property 'nam' does not exist"],
    ['text that is too long', { name: 'x'.repeat(161) }, 400, '0x80044331', "maximum allowed length of '160'"],
    ['a number as text', { creditlimit: '5' }, 400, '0x80048d19', 'Edm.Decimal'],
    ['text as a number', { name: 5 }, 400, '0x80048d19', 'Edm.String'],
    ['a credit limit below nothing', { creditlimit: -1 }, 400, '0x80044330', 'outside the valid range'],
    ['more digits than are kept', { creditlimit: 1.005 }, 400, '0x80044330', 'more than 2 digits'],
    ['an unknown choice', { customertypecode: 99 }, 400, '0x80048408', 'outside the valid range'],
    ['a day that is none', { new_creditvalidto: '2026-02-30' }, 400, '0x80048d19', 'Edm.Date'],
    ['a reason of another state', { statecode: 1, statuscode: 1 }, 400, '0x80048408', 'not a valid status code'],
    ['a lookup as a plain value', { transactioncurrencyid: 'EUR' }, 400, '0x80048d19', 'StartObject'],
    [
      'a row that is not there',
      { 'parentaccountid@odata.bind': "/accounts(accountnumber='7')" },
      404,
      '0x80060891',
      'does not exist in account entity',
    ],
    [
      'a row of another table',
      { 'parentaccountid@odata.bind': "/uoms(new_sapkey='Each')" },
      400,
      '0x80048d19',
      'another table',
    ],
    ['a lookup that is not there', { 'parent@odata.bind': '/accounts(1)' }, 400, '0x80048d19', 'undeclared property'],
    ['what Dataverse fills itself', { createdon: '2026-01-01T00:00:00Z' }, 400, '0x80040203', 'cannot be changed'],
    ['JSON that is broken', '{"name":', 400, '0x80048d19', 'Invalid JSON'],
    ['a list', [1], 400, '0x80048d19', 'JSON object'],
  ])('%s', async (_what, body, status, code, words) => {
    expect(await patch(byNumber, body)).toMatchObject({
      status,
      json: { error: { code, message: expect.stringContaining(words) } },
    })
    expect(twin.records('account')).toEqual([])
  })

  test('what only new records take, required columns and taken keys', async () => {
    twin.put('account', { accountnumber: '1001' })
    const invoice = { name: 'I', invoicenumber: '9', 'customerid_account@odata.bind': `/${byNumber}` }
    const path = "invoices(new_sapkey='9')"
    expect(await patch(path, { name: 'I' })).toMatchObject({
      status: 400,
      json: { error: { message: expect.stringContaining("'customerid'") } },
    })
    expect(await patch(path, invoice)).toMatchObject({ status: 204 })
    expect(await patch(path, invoice)).toMatchObject({
      status: 400,
      json: { error: { message: expect.stringContaining("'invoicenumber'") } },
    })
    expect(await ask('POST', 'accounts', { accountnumber: '1001' })).toMatchObject({
      status: 412,
      json: { error: { code: '0x80060892' } },
    })
    expect(await patch("accounts(new_sapkey='x')", { accountnumber: '1001' })).toMatchObject({ status: 412 })
  })

  test.each(['/', '<', '>', '*', '%', '&', ':', '\\', '?', '+'])('a key with %s in the address', async character => {
    const path = `products(productnumber='BAR${encodeURIComponent(character)}00')`
    expect(await ask('GET', path)).toMatchObject({ status: 400 })
    expect(await patch(path, { name: 'x' })).toMatchObject({ status: 400 })
  })

  test.each<[string, string, number]>([
    ['GET', 'acounts', 404],
    ['GET', "accounts(name='x')", 400],
    ['GET', 'accounts?$filter=nam eq 1', 400],
    ['GET', "accounts?$filter=name eq 'a' or nam eq 1", 400],
    ['GET', 'accounts?$filter=(((', 400],
    ['GET', 'accounts?$select=nam', 400],
    ['GET', 'accounts?$search=x', 400],
    ['GET', 'accounts?$top=-1', 400],
    ['PATCH', 'accounts', 405],
    ['PUT', "accounts(accountnumber='1')", 405],
    ['DELETE', "accounts(accountnumber='1')", 404],
    ['GET', 'accounts(%E0%A4%A)', 400],
    ['GET', 'accounts/a/b', 404],
    ['GET', '../../../etc/passwd', 404],
  ])('%s %s', async (method, path, status) => {
    const answer = await ask(method, path, method === 'GET' || method === 'DELETE' ? undefined : {})
    expect(answer.status).toBe(status)
  })

  test('a call without a token for this environment, by an app that is no user, or in another type', async () => {
    const refused = await ask('GET', 'WhoAmI', undefined, { authorization: 'Bearer wrong' })
    expect(refused.status).toBe(401)
    expect(refused.headers.get('www-authenticate')).toContain('authorization_uri=')
    const stranger = await startDataverse({
      verify: () => ({ aud: 'https://contoso.crm4.dynamics.com/', appid: 'x' }),
      audiences: ['https://contoso.crm4.dynamics.com'],
      applications: ['y'],
    })
    const answer = await fetch(`${stranger.origin}/api/data/v9.2/WhoAmI`, { headers: { authorization: 'Bearer any' } })
    expect([answer.status, await answer.json()]).toMatchObject([403, { error: { code: '0x80072560' } }])
    await stranger.stop()
    expect(await patch(byNumber, 'name=x', { 'content-type': 'application/x-www-form-urlencoded' })).toMatchObject({
      status: 415,
    })
  })
})

describe('$batch', () => {
  const part = (method: string, path: string, body?: unknown, id?: number) =>
    [
      'Content-Type: application/http',
      'Content-Transfer-Encoding: binary',
      ...(id === undefined ? [] : [`Content-ID: ${id}`]),
      '',
      `${method} /api/data/v9.2/${path} HTTP/1.1`,
      'Content-Type: application/json; type=entry',
      '',
      ...(body === undefined ? [''] : [JSON.stringify(body)]),
    ].join('\r\n')
  const changeset = (...parts: readonly string[]) =>
    `Content-Type: multipart/mixed; boundary="changeset_1"\r\n\r\n${parts.map(each => `--changeset_1\r\n${each}`).join('\r\n')}\r\n--changeset_1--\r\n`
  const batch = (parts: readonly string[], headers: Record<string, string> = {}) =>
    ask('POST', '$batch', `${parts.map(each => `--batch_1\r\n${each}`).join('\r\n')}\r\n--batch_1--\r\n`, {
      'content-type': 'multipart/mixed; boundary="batch_1"',
      ...headers,
    })

  const invoice = { name: '9000001519', 'customerid_account@odata.bind': `/${byNumber}` }
  const line = { 'invoiceid@odata.bind': '$1', quantity: 3, isproductoverridden: true, productdescription: 'Widget' }
  beforeEach(() => void twin.put('account', { accountnumber: '1001' }))

  test('the documented changeset: an invoice and a line that refers to it', async () => {
    const answer = await batch([
      changeset(part('POST', 'invoices', invoice, 1), part('POST', 'invoicedetails', line, 2)),
    ])
    expect(answer.status).toBe(200)
    expect(answer.text).toMatch(
      /--batchresponse_[\s\S]*--changesetresponse_[\s\S]*Content-ID: 1[\s\S]*HTTP\/1\.1 204 No Content[\s\S]*OData-EntityId: /,
    )
    const [made] = twin.records('invoice')
    expect(twin.records('invoicedetail')).toMatchObject([{ _invoiceid_value: made?.['invoiceid'], quantity: 3 }])
  })

  test('a changeset that fails leaves nothing, and its answer says why', async () => {
    const bad = changeset(
      part('POST', 'invoices', invoice, 1),
      part('POST', 'invoicedetails', { ...line, quantity: 'x' }, 2),
    )
    const stopped = await batch([bad, part('POST', 'accounts', { name: 'after' })])
    expect(stopped.status).toBe(400)
    expect(stopped.text).toMatch(/HTTP\/1\.1 400 Bad Request[\s\S]*req_id: /i)
    expect([twin.records('invoice'), twin.records('account')].map(({ length }) => length)).toEqual([0, 1])
    const on = await batch([bad, part('POST', 'accounts', { name: 'after' })], { prefer: 'odata.continue-on-error' })
    expect(on.status).toBe(200)
    expect([twin.records('invoice'), twin.records('account')].map(({ length }) => length)).toEqual([0, 2])
  })

  test.each<[string, () => readonly string[], string]>([
    [
      'a reference to what comes later',
      () => [changeset(part('POST', 'invoicedetails', line, 2), part('POST', 'invoices', invoice, 1))],
      "Content-ID Reference: '$1' does not exist in the batch context.",
    ],
    ['GET in a changeset', () => [changeset(part('GET', 'accounts', undefined, 1))], 'invalid HTTP method'],
    ['a batch in a batch', () => [part('POST', '$batch', {})], 'Nested batch'],
    [
      'a part without an id in a changeset',
      () => [changeset(part('POST', 'accounts', {}))],
      'Content-ID header is missing',
    ],
    ['more than a thousand', () => Array.from({ length: 1001 }, () => part('GET', 'WhoAmI')), 'maximum of 1000'],
  ])('%s is refused', async (_what, parts, words) => {
    const answer = await batch(parts())
    expect(answer.status).toBe(400)
    expect(answer.text).toContain(words)
  })

  test('$1 in the address means the record that request 1 made', async () => {
    await batch([
      changeset(
        part('POST', 'invoices', invoice, 1),
        part('PATCH', '$1', { name: 'changed' }, 2).replace('/api/data/v9.2/$1', '$1'),
      ),
    ])
    expect(twin.records('invoice')).toMatchObject([{ name: 'changed' }])
  })
})

describe('custom APIs', () => {
  test('all fourteen answer', async () => {
    const account = twin.put('account', { accountnumber: '1001', creditlimit: 5, creditonhold: false })
    const target = (table: string, fields: object) => ({
      Target: { '@odata.type': `Microsoft.Dynamics.CRM.${table}`, ...fields },
    })
    const bind = { 'customerid_account@odata.bind': `/accounts(${account})` }
    const unit = {
      'defaultuomid@odata.bind': "/uoms(new_sapkey='Each')",
      'defaultuomscheduleid@odata.bind': "/uomschedules(name='Default Unit')",
    }
    const set = async (name: string, body: object) => (await ask('POST', name, body)).json
    expect(await set('new_SetProduct', { Key: 'P/1', ...target('product', { name: 'P', ...unit }) })).toMatchObject({
      Operation: 'created',
    })
    expect(
      await set('new_SetInventory', { Key: 'I1', ...target('new_inventory', { new_quantity: 1.5 }) }),
    ).toMatchObject({ Operation: 'created' })
    expect(await set('new_SetInvoice', { Key: '90', ...target('invoice', { name: 'N', ...bind }) })).toMatchObject({
      Operation: 'created',
    })
    const line = {
      'invoiceid@odata.bind': "/invoices(new_sapkey='90')",
      isproductoverridden: true,
      productdescription: 'W',
    }
    expect(await set('new_SetInvoiceLine', { Key: '90-1', ...target('invoicedetail', line) })).toMatchObject({
      Operation: 'created',
    })
    expect(await set('new_SetCreditLimit', { Key: '1001', ...target('account', { creditlimit: 7 }) })).toMatchObject({
      Operation: 'updated',
      Id: account,
    })
    const check = async (name: string, key: string) =>
      (await ask('GET', `${name}(Key='${encodeURIComponent(key)}')`)).json
    for (const [name, key] of [
      ['new_CheckProduct', 'P/1'],
      ['new_CheckInventory', 'I1'],
      ['new_CheckInvoice', '90'],
      ['new_CheckInvoiceLine', '90-1'],
    ] as const) {
      expect(await check(name, key)).toMatchObject({ Found: true, Id: expect.any(String) })
      expect(await check(name, 'none')).toMatchObject({ Found: false, Id: null })
    }
    expect(await check('new_CheckCreditLimit', '1001')).toMatchObject({
      Found: true,
      CreditLimit: 7,
      CreditOnHold: false,
    })
    expect(await check('new_CheckUser', 'ben@contoso.com')).toMatchObject({ Found: true, IsDisabled: true })
    expect(await check('new_GetProductStatus', 'P/1')).toMatchObject({ StateCode: 0, StatusCode: 1 })
    expect(await check('new_GetInvoiceStatus', '90')).toMatchObject({ StateCode: 0, StatusCode: 1 })
    expect(await check('new_GetInvoiceLineStatus', '90-1')).toMatchObject({ StateCode: 0, StatusCode: 1 })
    expect((await ask('POST', 'new_SetProduct', { Key: 'x', Targets: {} })).status).toBe(400)
    expect((await ask('GET', "new_SetProduct(Key='x')")).status).toBe(405)
    expect((await ask('POST', 'new_SetCreditLimit', { Key: 'none', ...target('account', {}) })).status).toBe(404)
  })
})

describe('service protection and faults', () => {
  test('too many at a time, too many in all: 429 with its code, and a wait that grows with whoever goes on', async () => {
    // The first two answers wait until the other two requests were turned away.
    let turnedAway = () => 0
    const sleep = async () => {
      for (let looks = 0; looks < 2000 && turnedAway() < 2; looks++) await systemClock.sleep(5)
    }
    const limits = { requests: 5, windowMs: 60_000, concurrent: 2 }
    const small = await startDataverse({ limits, clock: { ...systemClock, sleep } })
    turnedAway = () => small.protection.refusedCount
    const who = () =>
      fetch(`${small.origin}/api/data/v9.2/WhoAmI`, { headers: { authorization: `Bearer ${dataverseToken}` } })
    small.setFaults({ slowMs: 1 })
    const together = await Promise.all([who(), who(), who(), who()])
    expect(together.map(({ status }) => status).toSorted((one, other) => one - other)).toEqual([200, 200, 429, 429])
    small.clearFaults()
    for (let left = 3; left > 0; left--) expect((await who()).status).toBe(200)
    const first = await who()
    expect([first.status, await first.json()]).toMatchObject([429, { error: { code: '0x80072322' } }])
    const second = await who()
    expect(Number(second.headers.get('retry-after'))).toBeGreaterThanOrEqual(Number(first.headers.get('retry-after')))
    expect(small.protection.refusedCount).toBe(4)
    await small.stop()
  })

  test('each fault strikes as often as it says, and unknown ones are refused', async () => {
    twin.setFaults({
      throttle: { times: 1, retryAfterS: 7 },
      unavailable: { times: 1 },
      fail: { times: 1, status: 400, code: '0x80040265' },
    })
    const statuses = [
      await ask('GET', 'WhoAmI'),
      await ask('GET', 'WhoAmI'),
      await ask('GET', 'WhoAmI'),
      await ask('GET', 'WhoAmI'),
    ]
    expect(statuses.map(({ status }) => status)).toEqual([429, 503, 400, 200])
    expect(statuses[0]?.headers.get('retry-after')).toBe('7')
    twin.setFaults({ duplicates: { times: 1 }, emptyCodes: true })
    const detecting = { 'mscrm.suppressduplicatedetection': 'false' }
    expect(await patch(byNumber, { name: 'A' })).toMatchObject({ status: 204 })
    expect(await patch(byNumber, { name: 'A' }, detecting)).toMatchObject({
      status: 412,
      json: { error: { code: '' } },
    })
    twin.setFaults({ expireTokens: true })
    expect((await ask('GET', 'WhoAmI')).status).toBe(401)
    expect(() => twin.setFaults({ thunder: 1 } as never)).toThrow('thunder')
  })

  test('a connection that is dropped after the change has done it, one dropped before has not', async () => {
    twin.setFaults({ dropBefore: { times: 1, method: 'PATCH' } })
    await expect(patch(byNumber, { name: 'A' })).rejects.toThrow('fetch failed')
    expect(twin.records('account')).toEqual([])
    twin.setFaults({ dropAfter: { times: 1, method: 'PATCH' } })
    await expect(patch(byNumber, { name: 'A' })).rejects.toThrow('fetch failed')
    expect(twin.records('account')).toHaveLength(1)
  })
})
