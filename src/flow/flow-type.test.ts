import { expect, test } from 'vitest'
import type { builtInSteps } from '../steps/built-in.ts'
import { builtInSteps as steps } from '../steps/built-in.ts'
import { flowJsonSchema } from './flow-json-schema.ts'
import type { FlowOf } from './flow-type.ts'
import { adapters } from './flow-world.ts'

type Flow = FlowOf<typeof adapters.senders, typeof adapters.receivers, typeof builtInSteps>

const written = {
  flow: 'mail-in',
  from: { mailbox: { host: 'h', user: 'u', auth: 'a' } },
  steps: [{ filter: { keep: 'size(message.to) > 0' } }, { choose: [{ when: 'true', drop: 'x' }] }],
  to: [{ server: { host: 'a', recipients: ['a@b.c'] } }],
  delivery: { 'once-by': 'message.id', retry: { every: '1m' } },
} satisfies Flow

test('a program writes flows with types', () => {
  expect(written.flow).toBe('mail-in')
  // @ts-expect-error there is no such sender
  const sender = { ...written, from: { mialbox: {} } } satisfies Flow
  // @ts-expect-error a port is a number
  const port = { ...written, to: { server: { host: 'a', port: 'x' } } } satisfies Flow
  // @ts-expect-error there is no such step
  const step = { ...written, steps: [{ filtre: { keep: 'true' } }] } satisfies Flow
  expect([sender, port, step]).toHaveLength(3)
})

test('editors get a JSON Schema with descriptions, examples and recursive steps', () => {
  const schema = flowJsonSchema({ ...adapters, steps }) as unknown as {
    $schema: string
    required: string[]
    additionalProperties: boolean
    properties: Record<
      string,
      { description?: string; anyOf?: { properties: Record<string, unknown> }[]; $ref?: string }
    >
    $defs: Record<
      string,
      { anyOf?: { properties: Record<string, { properties?: Record<string, unknown>; description?: string }> }[] }
    >
  }
  expect(schema.$schema).toBe('https://json-schema.org/draft/2020-12/schema')
  expect(schema.required).toEqual(['flow', 'from'])
  expect(schema.additionalProperties).toBe(false)
  expect(schema.properties['from']?.anyOf?.map(entry => Object.keys(entry.properties)[0])).toEqual([
    'mailbox',
    'schedule',
  ])
  const stepChoices = schema.$defs['step']?.anyOf ?? []
  expect(stepChoices.map(entry => Object.keys(entry.properties)[0])).toEqual(steps.map(step => step.id))
  const filter = stepChoices[1]?.properties['filter']
  expect(filter?.description).toBe('Lets only messages through for which a condition holds.')
  expect(filter?.properties?.['otherwise']).toMatchObject({
    default: 'set-aside',
    anyOf: [{ enum: ['set-aside', 'reject', 'drop'] }, { $ref: '#/$defs/parameter' }],
  })
  expect(JSON.stringify(schema)).toContain('"examples":["outlook.office365.com"]')
  expect(JSON.stringify(stepChoices[3])).toMatch(/#\/\$defs\/steps/)
})
