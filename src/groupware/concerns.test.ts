import { expect, test } from 'vitest'
import { HubError, hubErrors } from '../kernel/error.ts'
import { systemClock } from '../kernel/time.ts'
import { c4cErrors } from '../protocols/c4c/errors.ts'
import { ewsErrors } from '../protocols/ews/errors.ts'
import { ewsOptions } from '../protocols/ews/ews-world.ts'
import { graphErrors } from '../protocols/graph/errors.ts'
import { netErrors } from '../protocols/net/errors.ts'
import { makeC4CDriver } from './c4c-driver.ts'
import type { Concern } from './drivers.ts'
import { EwsDriver } from './ews-driver.ts'
import { makeGraphDriver } from './graph-driver.ts'
import { concernOf } from './organizations/mailbox-rounds.ts'

const logIn = () => Promise.reject(hubErrors.STOPPING())
const way = { credential: 'x', timeoutMs: 1000, clock: systemClock, now: () => 0, logIn }
const crm = makeC4CDriver({ ...way, root: new URL('https://crm.example/') })
const exchanges = {
  EWS: new EwsDriver({ ...ewsOptions('https://ews.example/'), markCategory: 'x' }),
  'EWS without a service account': new EwsDriver({
    ...ewsOptions('https://ews.example/'),
    access: 'direct',
    markCategory: 'x',
  }),
  Graph: makeGraphDriver({ ...way, root: new URL('https://graph.example/'), markCategory: 'x', inbox: undefined }),
}
// What one side says of a mailbox must not stop the account behind thousands of others.
test.each<[keyof typeof exchanges, string, { readonly code: string }, Concern]>([
  ['EWS', 'no mailbox', ewsErrors.NO_MAILBOX, 'mailbox'],
  ['EWS', 'a refused log-in', ewsErrors.LOGIN_REFUSED, 'account'],
  ['EWS', 'a busy server', ewsErrors.BUSY, 'account'],
  ['EWS', 'EWS that is switched off', ewsErrors.SWITCHED_OFF, 'either'],
  ['EWS', 'a bare 403', ewsErrors.FORBIDDEN, 'either'],
  ['EWS', 'a server that breaks', ewsErrors.SERVER_FAILED, 'either'],
  ['EWS without a service account', 'a refused log-in', ewsErrors.LOGIN_REFUSED, 'mailbox'],
  ['EWS without a service account', 'a busy server', ewsErrors.BUSY, 'mailbox'],
  ['EWS without a service account', 'a CRM that refuses', c4cErrors.LOGIN_REFUSED, 'account'],
  ['EWS without a service account', 'no connection', netErrors.CONNECT_REFUSED, 'account'],
  ['Graph', 'a 403 that does not say why', graphErrors.PERMISSION_MISSING, 'either'],
  ['Graph', 'no mailbox', graphErrors.NO_MAILBOX, 'mailbox'],
  ['Graph', 'a refused log-in', graphErrors.LOGIN_REFUSED, 'account'],
  ['EWS', 'no employee', c4cErrors.EMPLOYEE_UNKNOWN, 'mailbox'],
  ['Graph', 'no employee', c4cErrors.EMPLOYEE_UNKNOWN, 'mailbox'],
  ['EWS', 'a CRM that refuses', c4cErrors.LOGIN_REFUSED, 'account'],
  ['Graph', 'a CRM that refuses', c4cErrors.LOGIN_REFUSED, 'account'],
  ['EWS', 'no connection', netErrors.CONNECT_REFUSED, 'account'],
])('over %s %s concerns whom it should', (access, _, { code }, whom) => {
  const error = new HubError(code, { side: 'hub', retry: 'never', means: 'It failed.', next: 'Nothing.' })
  expect(concernOf(error, { exchange: exchanges[access], crm })).toBe(whom)
})
