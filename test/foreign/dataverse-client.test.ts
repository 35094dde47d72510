import { DynamicsWebApi } from 'dynamics-web-api'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type DataverseTwin, startDataverse } from '../../src/twins/dataverse/dataverse.ts'
import { contoso, contosoClientId, contosoSecret } from '../../src/twins/sign-in/contoso.ts'
import { type SignInTwin, startSignIn } from '../../src/twins/sign-in/sign-in.ts'

type Fields = Record<string, unknown>

/** The twin of Dynamics 365 under a client that others wrote for the real one (DynamicsWebApi, MIT). */
describe('DynamicsWebApi works with the Dynamics 365 twin as it is', () => {
  let signIn: SignInTwin
  let twin: DataverseTwin
  let api: DynamicsWebApi

  beforeAll(async () => {
    signIn = await startSignIn({ tenants: [contoso()] })
    twin = await startDataverse({ verify: token => signIn.verify(token), applications: [contosoClientId] })
    api = new DynamicsWebApi({
      serverUrl: twin.origin,
      dataApi: { version: '9.2' },
      onTokenRefresh: async () => {
        const answer = await fetch(signIn.endpoints().token, {
          method: 'POST',
          body: new URLSearchParams({
            grant_type: 'client_credentials',
            client_id: contosoClientId,
            client_secret: contosoSecret,
            scope: `${twin.origin}/.default`,
          }),
        })
        const { access_token: token } = (await answer.json()) as { access_token: string }
        return token
      },
    })
  })
  afterAll(async () => {
    await Promise.all([twin?.stop(), signIn?.stop()])
  })

  test('create, retrieve, update, delete', async () => {
    const made = await api.create<Fields>({
      collection: 'accounts',
      data: { name: 'ACME', creditlimit: 50_000.5 },
      returnRepresentation: true,
      select: ['accountid', 'name'],
    })
    const key = String(made['accountid'])
    expect(made).toMatchObject({ name: 'ACME' })
    await api.update({
      collection: 'accounts',
      key,
      data: { telephone1: '1', 'transactioncurrencyid@odata.bind': "/transactioncurrencies(isocurrencycode='EUR')" },
    })
    const read = await api.retrieve({
      collection: 'accounts',
      key,
      select: ['name', 'creditlimit', 'telephone1'],
      expand: [{ property: 'transactioncurrencyid', select: ['isocurrencycode'] }],
    })
    expect(read).toMatchObject({
      name: 'ACME',
      creditlimit: 50_000.5,
      telephone1: '1',
      transactioncurrencyid: { isocurrencycode: 'EUR' },
    })
    await expect(api.update({ collection: 'accounts', key, data: { name: 'x'.repeat(161) } })).rejects.toMatchObject({
      status: 400,
      code: '0x80044331',
    })
    await api.deleteRecord({ collection: 'accounts', key })
    await expect(api.retrieve({ collection: 'accounts', key })).rejects.toMatchObject({ status: 404 })
  })

  test('upsert by alternate key, optimistic concurrency, conflicts', async () => {
    const key = "accountnumber='4711'"
    const first = await api.upsert<Fields>({
      collection: 'accounts',
      key,
      data: { name: 'A' },
      returnRepresentation: true,
    })
    const second = await api.upsert<Fields>({
      collection: 'accounts',
      key,
      data: { name: 'B' },
      returnRepresentation: true,
    })
    expect(second['accountid']).toBe(first['accountid'])
    // This client gives null where If-None-Match: * is refused, instead of an error.
    expect(await api.upsert<Fields>({ collection: 'accounts', key, data: { name: 'C' }, ifnonematch: '*' })).toBeNull()
    expect(twin.records('account').find(({ accountnumber }) => accountnumber === '4711')).toMatchObject({ name: 'B' })
    // And false where somebody else has changed the record meanwhile.
    const etag = String(first['@odata.etag'])
    expect(await api.update({ collection: 'accounts', key, data: { name: 'D' }, ifmatch: etag })).toBe(false)
  })

  test('lists, filters, pages and counts', async () => {
    for (let index = 0; index < 7; index++) {
      await api.create({
        collection: 'new_inventories',
        data: { new_sapkey: `F-${index}`, new_quantity: index + 0.125 },
      })
    }
    const filter = "startswith(new_sapkey,'F-') and new_quantity gt 2"
    const page = await api.retrieveMultiple({
      collection: 'new_inventories',
      select: ['new_sapkey'],
      filter,
      maxPageSize: 3,
      count: true,
      orderBy: ['new_sapkey'],
    })
    expect(page.value.map(record => record['new_sapkey'])).toEqual(['F-2', 'F-3', 'F-4'])
    expect(page['@odata.count']).toBe(5)
    const all = await api.retrieveAll({ collection: 'new_inventories', select: ['new_sapkey'], filter })
    expect(all.value).toHaveLength(5)
    expect(await api.count({ collection: 'new_inventories', filter })).toBe(5)
  })

  test('a batch with a changeset that refers to its own records', async () => {
    const account = await api.upsert<Fields>({
      collection: 'accounts',
      key: "accountnumber='4711'",
      data: { name: 'A' },
      returnRepresentation: true,
    })
    api.startBatch()
    const invoice = api.create({
      collection: 'invoices',
      data: {
        name: 'I',
        new_sapkey: '90',
        'customerid_account@odata.bind': `/accounts(${String(account['accountid'])})`,
      },
      contentId: '1',
    })
    const line = api.create({
      collection: 'invoicedetails',
      data: { 'invoiceid@odata.bind': '$1', isproductoverridden: true, productdescription: 'W', quantity: 1 },
    })
    // What single calls answer is of no use here, but they may fail before the batch is read.
    const singles = [invoice, line].map(each => Promise.resolve(each).catch(() => {}))
    const answers = await api.executeBatch()
    await Promise.all(singles)
    expect(answers).toHaveLength(2)
    const [made] = twin.records('invoice')
    expect(twin.records('invoicedetail')).toMatchObject([{ _invoiceid_value: made?.['invoiceid'] }])
  })

  test('functions, actions and metadata', async () => {
    const who = await api.callFunction({ functionName: 'WhoAmI' })
    expect(who).toMatchObject({ UserId: expect.any(String) })
    const found = await api.callFunction({ functionName: 'new_CheckInventory', parameters: { Key: 'F-1' } })
    expect(found).toMatchObject({ Found: true })
    const set = await api.callAction({
      actionName: 'new_SetCreditLimit',
      action: { Key: '4711', Target: { '@odata.type': 'Microsoft.Dynamics.CRM.account', creditlimit: 9 } },
    })
    expect(set).toMatchObject({ Operation: 'updated' })
    const entities = await api.retrieveEntities({
      select: ['LogicalName', 'EntitySetName'],
      filter: "EntitySetName eq 'products'",
    })
    expect(entities.value).toMatchObject([{ LogicalName: 'product', EntitySetName: 'products' }])
  })
})
