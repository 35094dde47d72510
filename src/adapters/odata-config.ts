import { z } from 'zod'
import { templateSchema } from '../flow/expression-schema.ts'
import { valueTemplate } from '../flow/value-template.ts'
import { credentialName, location, size, someTime } from '../kernel/schema.ts'
import { edmTypes } from '../protocols/odata/edm.ts'
import { FilterTemplate } from './odata-filter.ts'

const name = z.string().regex(/^[A-Za-z_][\w.]{0,127}$/, 'a name of the service: letters, digits, underscore')
const path = z.string().regex(/^[A-Za-z_*][\w/.*]{0,255}$/, 'a property of the service, or a path to one')
const set = name.meta({ title: 'entity set', description: 'Entity set of the service.', examples: ['A_CostCenter'] })

const key = z
  .record(name, valueTemplate)
  .refine(given => Object.keys(given).length > 0, 'a key names at least one property')
  .meta({
    title: 'key',
    description: 'Values of the key by name; the hub writes them as literals of the right type.',
    examples: [{ ControllingArea: 'A000', CostCenter: '${message.body.id}', ValidityEndDate: '9999-12-31' }],
  })

const filter = z
  .string()
  .min(1)
  .pipe(templateSchema)
  .transform((template, context) => {
    const made = new FilterTemplate(template.text)
    if (made.mistake !== undefined) context.addIssue({ code: 'custom', message: made.mistake })
    return made
  })
  .meta({
    title: 'filter',
    description: 'Which entities. Each ${…} is one whole value; the hub writes quotes and prefixes of its type.',
    examples: ['CompanyCode eq ${message.query.company} and ValidityEndDate ge ${message.query.day}'],
  })

const select = z.array(path).optional().meta({ description: 'Properties to read; all of them when left out.' })
const expand = z
  .array(z.string().regex(/^[A-Za-z_][^&#?]{0,500}$/, 'a navigation property, in V4 with options in brackets'))
  .optional()
  .meta({ description: 'Navigation properties to read along.', examples: [['to_Text']] })
const body = valueTemplate.optional().meta({
  description: 'The entity: keys and values with templates. Default: the JSON body of the message.',
})
const etag = templateSchema.optional().meta({
  description:
    'Changes only this state of the entity (If-Match). current: the state that it has right now is asked for first. *: any.',
  examples: ["${message.customer['@odata.etag']}"],
})
const whole = z.union([z.int().min(0), templateSchema])

const operations = {
  read: z.strictObject({
    set,
    key,
    select,
    expand,
    missing: z.enum(['fail', 'null']).default('fail').meta({ description: 'When there is no such entity.' }),
  }),
  query: z.strictObject({
    set,
    filter: filter.optional(),
    select,
    expand,
    orderby: z
      .array(z.string().regex(/^[A-Za-z_][\w/]*( (asc|desc))?$/, 'a property, or a property and asc or desc'))
      .optional()
      .meta({ description: 'Order of the answer.', examples: [['CostCenter', 'ValidityEndDate desc']] }),
    top: whole.optional().meta({ description: 'How many at most. Without it all pages of the service are read.' }),
    skip: whole.optional().meta({ description: 'How many to leave out first.' }),
    count: z
      .boolean()
      .default(false)
      .meta({ description: 'Asks how many match in all; it stands in answer.body.count.' }),
    'page-size': z.int().min(1).max(5000).optional().meta({
      description: 'Entities of one page that the service is asked for; V4 only, and services may ignore it.',
    }),
    'max-pages': z
      .int()
      .min(1)
      .max(10_000)
      .default(1000)
      .meta({ description: 'Pages to read at most; more is an error.' }),
  }),
  create: z.strictObject({ set, body }),
  update: z.strictObject({
    set,
    key,
    body,
    etag,
    method: z.enum(['PATCH', 'PUT', 'MERGE']).default('PATCH').meta({
      description: 'PUT replaces all properties. MERGE is PATCH for services of V2 that know no other.',
    }),
  }),
  upsert: z.strictObject({ set, key, body }),
  delete: z.strictObject({
    set,
    key,
    etag,
    missing: z.enum(['ok', 'fail']).default('ok').meta({ description: 'When it is gone already.' }),
  }),
  call: z.strictObject({
    name: name.meta({ description: 'Function import (V2), function or action (V4).' }),
    parameters: z.record(name, valueTemplate).default({}).meta({ description: 'Its parameters by name.' }),
    method: z.enum(['GET', 'POST']).optional().meta({ description: 'Default: what $metadata says, else POST.' }),
    on: z
      .strictObject({ set, key: key.optional() })
      .optional()
      .meta({ description: 'What a bound one of V4 acts on.' }),
    etag: etag.meta({
      description:
        'Calls it only in this state of the entity (If-Match). current: the state that the entity under on has right now.',
      examples: ["${message.order['@odata.etag']}"],
    }),
  }),
}

const together = z
  .strictObject({
    create: operations.create.optional().meta({ description: 'Creates an entity, or one for each of a list.' }),
    update: operations.update.optional().meta({ description: 'Changes an entity.' }),
    delete: z.strictObject({ set, key, etag }).optional().meta({ description: 'Deletes an entity.' }),
  })
  .refine(given => Object.values(given).filter(each => each !== undefined).length === 1, 'one change at a time')

const batch = z.strictObject({
  changes: z.array(together).min(1).max(100).meta({ description: 'Changes, in their order.' }),
  form: z.enum(['multipart', 'json']).default('multipart').meta({
    description: 'How the batch is written; json is for services of V4 that know no other.',
  }),
})

const titles: Readonly<Record<keyof typeof operations, string>> = {
  read: 'Reads one entity by its key.',
  query: 'Reads the entities that match, over all pages of the service.',
  create: 'Creates an entity.',
  update: 'Changes an entity.',
  upsert: 'Changes an entity, or creates it where it is not there.',
  delete: 'Deletes an entity.',
  call: 'Calls a function or an action.',
}

export const operationNames = [...(Object.keys(operations) as readonly (keyof typeof operations)[]), 'batch'] as const

/** What a flow document says under `odata`. */
export const odataConfig = z
  .strictObject({
    url: z
      .url({ protocol: /^https?$/ })
      .refine(text => !URL.canParse(text) || isBareUrl(new URL(text)), 'the root of a service has no user, query or #')
      .meta({
        description: 'Root of the service.',
        examples: ['https://s4.example/sap/opu/odata/sap/API_COSTCENTER_SRV'],
      }),
    version: z.enum(['v2', 'v4']).meta({ description: 'OData version that the service speaks.' }),
    read: operations.read.optional().meta({ description: titles.read }),
    query: operations.query.optional().meta({ description: titles.query }),
    create: operations.create.optional().meta({ description: titles.create }),
    update: operations.update.optional().meta({ description: titles.update }),
    upsert: operations.upsert.optional().meta({ description: titles.upsert }),
    delete: operations.delete.optional().meta({ description: titles.delete }),
    call: operations.call.optional().meta({ description: titles.call }),
    batch: batch.optional().meta({ description: 'Several changes that are done together or not at all ($batch).' }),
    auth: credentialName.optional().meta({
      description:
        'Credential: basic, OAuth 2.0, secret (a bearer token), or certificate (shown in the TLS handshake).',
    }),
    cleartext: z.boolean().default(false).meta({
      description: 'Lets a credential go over plain http; only where the network is trusted.',
    }),
    via: location.optional(),
    ca: z.string().min(1).optional().meta({
      description: 'PEM file of a certificate authority to trust, relative to the flow.',
    }),
    timeout: someTime.prefault('60s').meta({ description: 'For each request, answer included.' }),
    parameters: z
      .record(z.string().regex(/^[A-Za-z][\w-]{0,63}$/, 'the name of a field of the query'), z.string().max(256))
      .default({})
      .meta({ description: 'Fields of the query that go with every request.', examples: [{ 'sap-client': '100' }] }),
    headers: z
      .record(
        z.string().regex(/^[A-Za-z][\w-]{0,63}$/, 'the name of a header'),
        z
          .string()
          .regex(/^[\t -~]*$/)
          .max(1024),
      )
      .default({})
      .meta({ description: 'Headers that go with every request.', examples: [{ 'accept-language': 'de' }] }),
    metadata: z.enum(['read', 'none']).default('read').meta({
      description:
        'read: $metadata of the service says types and names (asked for once an hour). none: goes without, with what types says.',
    }),
    types: z
      .record(path, z.enum(edmTypes))
      .default({})
      .meta({
        description: 'Types of properties and parameters that $metadata does not tell.',
        examples: [{ accountid: 'Edm.Guid' }],
      }),
    'max-answer': size
      .prefault('10MiB')
      .meta({ description: 'The largest answer: one page, and all entities together.' }),
    'on-unknown': z.enum(['set-aside', 'send-again']).optional().meta({
      description:
        'When the connection was lost after the request and before the answer, or a gateway got none that is valid (502) or waited for it in vain (504): let a person look, or send it again. Default: set-aside for create, for calls by POST and for updates with an etag; else send-again.',
    }),
  })
  .superRefine((given, context) => {
    const named = operationNames.filter(operation => given[operation] !== undefined)
    if (named.length !== 1) {
      const message =
        named.length === 0
          ? `say what to do: one of ${operationNames.join(', ')}`
          : `one thing at a time: ${named.join(' and ')} stand here`
      context.addIssue({ code: 'custom', path: named.slice(1, 2), message })
    }
    const updates = [given.update, ...(given.batch?.changes ?? []).map(({ update }) => update)]
    if (given.version === 'v4' && updates.some(update => update?.method === 'MERGE')) {
      context.addIssue({ code: 'custom', path: ['version'], message: 'V4 has no MERGE; write PATCH' })
    }
    if (given.version === 'v2' && given.batch?.form === 'json') {
      context.addIssue({ code: 'custom', path: ['batch', 'form'], message: 'V2 has no batch in JSON' })
    }
    if (given.version === 'v2' && given.call?.on) {
      context.addIssue({ code: 'custom', path: ['call', 'on'], message: 'V2 has no bound operations' })
    }
    if (given.call?.etag?.text === 'current' && given.call.on?.key === undefined) {
      const message = 'current is the state of the entity that on names with its key'
      context.addIssue({ code: 'custom', path: ['call', 'etag'], message })
    }
    const isReadable = /^http:/i.test(given.url) && !isLoopback(given.url) && given.via === undefined
    if (given.auth !== undefined && isReadable && !given.cleartext) {
      const message = 'over http:// everybody on the way reads the credential; use https://, via, or cleartext: true'
      context.addIssue({ code: 'custom', path: ['auth'], message })
    }
  })

export type ODataConfig = z.output<typeof odataConfig>

function isBareUrl({ username, password, search, hash }: URL): boolean {
  return username === '' && password === '' && search === '' && hash === ''
}

function isLoopback(url: string): boolean {
  return /^http:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1\])([:/?#]|$)/i.test(url)
}
