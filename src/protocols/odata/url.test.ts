import { expect, test } from 'vitest'
import { writeEntity } from './json.ts'
import { readMetadata } from './metadata.ts'
import { entityTypeOf, type Model } from './model.ts'
import { operationCall, operationOf } from './url.ts'

const schema = `<Schema Namespace="s" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <ComplexType Name="Money"><Property Name="Amount" Type="Edm.Decimal"/><Property Name="Since" Type="Edm.DateTime"/></ComplexType>
  <EntityType Name="Rate"><Key><PropertyRef Name="Id"/></Key><Property Name="Id" Type="Edm.String"/>
    <Property Name="Limit" Type="s.Money"/><Property Name="Steps" Type="Collection(s.Money)"/></EntityType>
  <Action Name="SetRate" IsBound="true"><Parameter Name="_it" Type="s.Rate"/><Parameter Name="Rate" Type="Edm.Decimal"/>
    <Parameter Name="Count" Type="Edm.Int64"/><Parameter Name="Text" Type="Edm.String"/><Parameter Name="Ids" Type="Collection(Edm.String)"/></Action>
  <EntityContainer Name="C"><EntitySet Name="Rates" EntityType="s.Rate"/></EntityContainer></Schema>`

async function model(): Promise<Model> {
  async function* document() {
    yield Buffer.from(`<edmx:Edmx xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">${schema}</edmx:Edmx>`)
  }
  return readMetadata(document(), 's4')
}

test('numbers that the hub keeps as text go to an action as numbers', async () => {
  const naming = { version: 'v4', server: 's4' } as const
  const parameters = { Rate: '12.50', Count: '9007199254740993', Text: '0815', Ids: ['1', '2'] }
  const { path, body } = operationCall(naming, 'SetRate', operationOf(await model(), 'SetRate', 's4'), parameters, {
    on: "Rates('1')",
  })
  expect(path).toBe("Rates('1')/s.SetRate")
  expect(body).toBe('{"Rate":12.50,"Count":9007199254740993,"Text":"0815","Ids":["1","2"]}')
})

test('values inside complex properties are written by their types', async () => {
  const type = entityTypeOf(await model(), 'Rates', 's4')
  const entity = { Id: '1', Limit: { Amount: '12.50' }, Steps: [{ Amount: '1' }] }
  expect(writeEntity('v4', type, entity, undefined)).toBe('{"Id":"1","Limit":{"Amount":12.50},"Steps":[{"Amount":1}]}')
  const dated = { Limit: { Amount: 12.5, Since: '2026-11-21T00:00:00' } }
  expect(writeEntity('v2', type, dated, undefined)).toBe('{"Limit":{"Amount":"12.5","Since":"/Date(1795219200000)/"}}')
})
