import { expect, test } from 'vitest'
import { z } from 'zod'
import { organizationInput, profileInput } from '../../../src/groupware/organizations/organization-input.ts'
import { describeRules, resolveRules } from '../../../src/groupware/organizations/rules-input.ts'
import { type FormField, missingField, settingsOf, typedOf } from './form.ts'
import { pathsOf, type Schema } from './form-world.ts'
import { organizationFields, profileFields } from './organization-form.ts'

test.each([
  ['an organization', organizationFields, organizationInput],
  ['a profile', profileFields, profileInput],
] as const)('the form of %s has all that the hub takes, and nothing else', (_what, fields, schema) => {
  const taken = pathsOf(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Schema)
  expect(fields.map(({ path }) => path).toSorted()).toEqual(taken.toSorted())
})

test('the words of a choice are those of the hub', () => {
  for (const access of optionsOf(organizationFields, 'access')) {
    expect(organizationInput.safeParse({ ...typed, access }).success).toBe(true)
  }
  for (const { path, options = [] } of profileFields) {
    for (const option of options) {
      const settings = settingsOf(profileFields, { [path]: option })
      expect(profileInput.safeParse(settings).error).toBeUndefined()
    }
  }
})

const typed = {
  access: 'graph',
  exchange: { auth: 'graph-app' },
  crm: { url: 'https://my1.crm.ondemand.com/sap/c4c/odata/v1/c4codataapi/', auth: 'c4c' },
}

test('an organization is sent as it was typed, without what was left empty', () => {
  const shown = typedOf(organizationFields, typed)
  expect(missingField(organizationFields, shown)).toBeUndefined()
  expect(settingsOf(organizationFields, { ...shown, about: ' ', every: ' 10m ' })).toEqual({ ...typed, every: '10m' })
})

test('rules come through the form as they are: those that count, with numbers, lists and what has no limit', () => {
  const rules = describeRules(
    resolveRules({
      appointment: { direction: 'both', category: false, past: '30d', future: false },
      task: { direction: 'off', folder: 'Orders of today' },
      blocked: ['gmail.com', 'x@y.example'],
      ownDomains: ['contoso.com'],
      brake: { freeCount: 0, share: 0.25 },
    }),
  )
  const profile = { about: 'sales', rules }
  const sent = settingsOf(profileFields, typedOf(profileFields, profile))
  expect(profileInput.parse(sent)).toEqual(profileInput.parse(profile))
  expect(sent).toMatchObject({
    rules: {
      appointment: { past: '30d', future: false },
      task: { folder: 'Orders of today' },
      blocked: ['gmail.com', 'x@y.example'],
      brake: { freeCount: 0, share: 0.25 },
    },
  })
})

test('what is no number is left for the hub to refuse', () => {
  const sent = settingsOf(profileFields, { 'rules.brake.share': 'a fifth' })
  expect(sent).toEqual({ rules: { brake: { share: 'a fifth' } } })
})

function optionsOf(fields: readonly FormField[], wanted: string): readonly string[] {
  return fields.find(({ path }) => path === wanted)?.options ?? []
}
