import { expect, test } from 'vitest'
import { ScriptedService } from '../protocols/odata/odata-world.ts'
import { effectOf, messageOf } from './http-world.ts'
import { odata } from './odata.ts'
import { odataContext } from './odata-world.ts'

const metadata = `<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx"><edmx:DataServices><Schema Namespace="S" xmlns="http://schemas.microsoft.com/ado/2008/09/edm">
<EntityType Name="Visit"><Key><PropertyRef Name="Id"/></Key><Property Name="Id" Type="Edm.String"/><Property Name="At" Type="Edm.DateTimeOffset"/><Property Name="Start" Type="Edm.Time"/><Property Name="Share" Type="Edm.Double"/></EntityType>
<EntityContainer Name="C"><EntitySet Name="Visits" EntityType="S.Visit"/>
<FunctionImport Name="Late" EntitySet="Visits" ReturnType="Collection(S.Visit)"/><FunctionImport Name="Due" ReturnType="Edm.DateTime"/>
</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>`
const came = { Id: '1', At: '/Date(1772319600000+0000)/', Start: 'PT13H14M15S', Share: '1.5' }
const read = { Id: '1', At: '2026-02-28T23:00:00Z', Start: '13:14:15', Share: 1.5 }

test.each([
  ['entities', 'Late', { results: [came] }, [read]],
  ['an entity', 'Late', came, read],
  ['an entity under the name of its function', 'Late', { Late: came }, read],
  ['entities under the name of their function', 'Late', { Late: { results: [came] } }, [read]],
  ['a single value', 'Due', { Due: '/Date(1772319600000)/' }, '2026-02-28T23:00:00'],
])('what a function of V2 gives reads like what a query gives: %s', async (_case, name, d, expected) => {
  const service = await new ScriptedService().start()
  service.answer = ({ url = '' }, response) => {
    const isMetadata = url.includes('$metadata')
    response.writeHead(200, { 'content-type': isMetadata ? 'application/xml' : 'application/json' })
    response.end(isMetadata ? metadata : JSON.stringify({ d }))
  }
  const receiver = await odata.open(odataContext({ url: service.root, version: 'v2', call: { name } }))
  try {
    const { answer } = await receiver.deliver(messageOf('{}'), effectOf(messageOf('{}')))
    expect(JSON.parse(Buffer.from(answer?.body ?? '').toString())).toEqual(expected)
  } finally {
    await receiver.close()
    await service.stop()
  }
})
