import { expect, test } from 'vitest'
import { operationIdOf } from './operation-id.ts'

test.each([
  ['GET', '/api/flows', 'listFlows'],
  ['GET', '/api/flows/:name', 'getFlow'],
  ['GET', '/api/mailboxes/:address', 'getMailbox'],
  ['POST', '/api/flows/reload', 'reloadFlows'],
  ['POST', '/api/messages/:id/replay', 'replayMessage'],
  ['GET', '/api/messages/:id/loss', 'getMessageLoss'],
  ['POST', '/api/mailboxes/:address/release-brake', 'releaseMailboxBrake'],
  ['GET', '/api/key-maps/:map/entries', 'listKeyMapEntries'],
  ['POST', '/api/service-instances/:id/keys', 'createServiceInstanceKey'],
  ['PATCH', '/api/service-instances/:id', 'updateServiceInstance'],
  ['POST', '/api/session/recovery-codes', 'createSessionRecoveryCodes'],
  ['POST', '/api/lint', 'lint'],
])('%s %s is %s', (method, path, id) => {
  expect(operationIdOf(method, path)).toBe(id)
})
