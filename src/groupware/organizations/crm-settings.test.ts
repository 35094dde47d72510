import { afterEach, beforeEach, expect, test } from 'vitest'
import { MINUTE, systemClock } from '../../kernel/time.ts'
import { makeConnect } from '../../protocols/net/connect.ts'
import { type C4CTwin, c4cUser, startC4C } from '../../twins/c4c/c4c.ts'
import { scopeOf } from '../graph-driver-world.ts'
import { defaultRules } from '../plan/rules.ts'
import { sampleContact, sampleTask } from '../sample-items-world.ts'
import { GroupwareWorld, organizationSettings } from './groupware-world.ts'
import type { Organization } from './model.ts'
import { makeOpenDrivers } from './open-drivers.ts'

let world: GroupwareWorld
let twin: C4CTwin
const signal = new AbortController().signal

beforeEach(async () => {
  world = new GroupwareWorld()
  await world.start()
  twin = await startC4C({ employees: ['ada@contoso.com'] })
})
afterEach(async () => {
  await twin.stop()
  await world.groupware.close()
})

/** Saved, read again, and opened as the hub does it. */
async function openCrm(more: object) {
  const crm = { ...organizationSettings.crm, url: twin.root, ...more }
  const organization: Organization = await world.groupware.createOrganization('north', { ...organizationSettings, crm })
  const open = makeOpenDrivers({
    connect: makeConnect(),
    credential: async () => ({ kind: 'basic', ...c4cUser }),
    clock: systemClock,
    rulesOf: () => defaultRules,
  })
  return open(organization, { own: undefined, sample: 'ada@contoso.com' })
}

async function* noBytes(): AsyncGenerator<Uint8Array> {
  // Nothing to attach.
}
const put = { key: 'key', mark: null, openAttachment: noBytes }

test.each([
  [{}, 'EN', 'CRM000', 'CRM000'],
  [{ language: 'DE', accountRole: 'BUP002', customerRole: 'Z_PERSON' }, 'DE', 'BUP002', 'Z_PERSON'],
])('what is made in the CRM has the language and the roles that %j says', async (more, language, account, customer) => {
  const { crm, exchange } = await openCrm(more)
  const parties = (['account', 'individual-customer'] as const).map(party => ({ ...sampleContact, party }))
  await crm.create(
    scopeOf('contact'),
    parties.map(item => ({ ...put, item })),
    signal,
  )
  await crm.create(scopeOf('task'), [{ ...put, item: sampleTask }], signal)
  const valuesOf = (entity: string) => twin.store.all(twin.store.kind(entity)).map(({ values }) => values)
  expect(valuesOf('CorporateAccount')).toMatchObject([{ RoleCode: account }])
  expect(valuesOf('IndividualCustomer')).toMatchObject([{ RoleCode: customer }])
  expect(valuesOf('TasksTextCollection')).toMatchObject([{ LanguageCode: language }])
  await Promise.all([crm.close?.(), exchange.close?.()])
})

test.each([
  [{}, 4 * MINUTE, 6 * MINUTE],
  [{ overlap: '20m' }, 19 * MINUTE, 21 * MINUTE],
])('with %j changes are told that show so late, and no later', async (more, lateMs, tooLateMs) => {
  const { crm, exchange } = await openCrm(more)
  await crm.create(scopeOf('task'), [{ ...put, item: sampleTask }], signal)
  const told = async (ms: number) => {
    const page = await crm.feed?.('north', 'task', new Date(Date.now() + ms).toISOString(), signal, true)
    return page?.changes.length
  }
  expect([await told(lateMs), await told(tooLateMs)]).toEqual([1, 0])
  await Promise.all([crm.close?.(), exchange.close?.()])
})

test.each([{ overlap: '10s' }, { overlap: '2h' }, { language: 'German' }, { accountRole: 'crm000' }, { codes: {} }])(
  '%j is no setting of a CRM',
  async more => {
    await expect(openCrm(more)).rejects.toMatchObject({ code: 'ORGANIZATION_INVALID' })
  },
)
