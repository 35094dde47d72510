import { afterEach, beforeEach, expect, test } from 'vitest'
import { type ApiWorld, apiWorld } from './api-world.ts'

let world: ApiWorld
beforeEach(async () => {
  world = await apiWorld()
})
afterEach(() => world.close())

const anna = { name: 'Anna.Berg', roles: ['ESBMessaging.send'], password: 'correct horse battery' }

test('a user is created, changed, disabled and deleted; the password never comes out', async () => {
  const created = await world.ask(201, 'POST', '/api/users', { ...anna, displayName: 'Anna Berg' })
  expect(created).toMatchObject({ name: 'anna.berg', roles: ['ESBMessaging.send'], displayName: 'Anna Berg' })
  await world.ask(200, 'PUT', '/api/users/anna.berg', { disabled: true, password: 'another horse battery' })
  const listed = await world.ask(200, 'GET', '/api/users')
  expect(listed).toMatchObject({ users: [{ name: 'anna.berg', disabledAt: expect.any(String) }] })
  await world.ask(204, 'DELETE', '/api/users/anna.berg')
  await world.ask(404, 'GET', '/api/users/anna.berg')
  const audit = JSON.stringify(await world.ask(200, 'GET', '/api/audit'))
  expect(audit).toContain('user.create')
  expect(audit).toContain('user.delete')
  for (const text of [audit, JSON.stringify(listed), world.written.join()]) expect(text).not.toContain('horse')
})

test('a weak password, a strange name and a second user of the same name are refused', async () => {
  expect(await world.ask(422, 'POST', '/api/users', { ...anna, password: 'short' })).toMatchObject({
    code: 'USER_INVALID',
  })
  expect(await world.ask(422, 'POST', '/api/users', { ...anna, name: 'a:b' })).toMatchObject({ code: 'USER_INVALID' })
  await world.ask(422, 'POST', '/api/users', { ...anna, password: 'x anna.berg x' })
  await world.ask(201, 'POST', '/api/users', anna)
  expect(await world.ask(409, 'POST', '/api/users', anna)).toMatchObject({ code: 'USER_EXISTS' })
  await world.ask(400, 'POST', '/api/users', { ...anna, admin: true })
})

test('a user has only roles that there are, and loses one that is deleted', async () => {
  const unknown = { status: 422, code: 'USER_ROLE_UNKNOWN' }
  const first = await world.ask(422, 'POST', '/api/users', { ...anna, roles: ['ESBMessaging.sent'] })
  expect(first).toMatchObject({
    ...unknown,
    title: 'There is no role ESBMessaging.sent that user Anna.Berg could have.',
  })
  await world.ask(404, 'GET', '/api/users/anna.berg')

  await world.ask(201, 'POST', '/api/roles', { name: 'Orders' })
  await world.ask(201, 'POST', '/api/users', { ...anna, roles: ['Orders', 'ESBMessaging.send'] })
  expect(await world.ask(422, 'PUT', '/api/users/anna.berg', { roles: ['Invoices'] })).toMatchObject(unknown)
  expect(await world.ask(200, 'GET', '/api/roles')).toMatchObject({
    roles: expect.arrayContaining([expect.objectContaining({ name: 'Orders', instances: [], users: ['anna.berg'] })]),
  })

  const refused = await world.ask(409, 'DELETE', '/api/roles/Orders')
  expect(refused['title']).toBe('The role Orders is in use: user anna.berg.')
  await world.ask(204, 'DELETE', '/api/roles/Orders?force=true')
  // Not even when there is a role of that name again.
  await world.ask(201, 'POST', '/api/roles', { name: 'Orders' })
  expect(await world.ask(200, 'GET', '/api/users/anna.berg')).toMatchObject({ roles: ['ESBMessaging.send'] })
})

test('signing keys rotate: announced first, or used at once', async () => {
  const before = await world.ask(200, 'GET', '/api/token-keys')
  expect(before).toMatchObject({ keys: [{ algorithm: 'ES256', state: 'active' }] })
  const announced = await world.ask(201, 'POST', '/api/token-keys/rotate', {})
  expect(announced).toMatchObject({ state: 'announced' })
  const now = await world.ask(201, 'POST', '/api/token-keys/rotate', { now: true })
  expect(now).toMatchObject({ state: 'active' })
  const after = await world.ask(200, 'GET', '/api/token-keys')
  // The one that was announced and never used is gone.
  expect(after).toMatchObject({ keys: [{ state: 'retired' }, { kid: now['kid'], state: 'active' }] })
  await world.ask(204, 'POST', '/api/tokens/revoke', { jti: 'abc' })
})
