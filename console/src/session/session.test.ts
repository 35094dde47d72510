import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { allPermissions } from '../../../src/auth/administrators/admin-roles.ts'
import { signedInWith } from './session.ts'

const session = {
  administrator: { name: 'rita', roles: ['AuthGroup.ReadOnly'], hasTotp: false, recoveryCodesLeft: 0 },
  permissions: ['MonitoringDataRead'],
  csrfToken: 'x',
}

test('who lacks a right is told which one', () => {
  const { may, reason } = signedInWith(session, { signOut: async () => {}, renew: () => {} })
  expect([may('MonitoringDataRead'), reason('MonitoringDataRead')]).toEqual([true, undefined])
  expect(may('WorkspaceArtifactsDeploy')).toBe(false)
  expect(reason('WorkspaceArtifactsDeploy')).toContain('WorkspaceArtifactsDeploy')
})

test('every right that a page names is one of the hub', () => {
  const source = join(import.meta.dirname, '..')
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter(path => path.endsWith('.tsx'))
  const named = files.flatMap(path =>
    [
      ...readFileSync(join(source, path), 'utf8').matchAll(
        /'((?:[A-Z][a-z]+){2,}(?:Read|Edit|Deploy|Delete|Download))'/g,
      ),
    ].map(([, right = '']) => right),
  )
  expect(named.length).toBeGreaterThan(5)
  expect(named.filter(right => !(allPermissions as readonly string[]).includes(right))).toEqual([])
})
