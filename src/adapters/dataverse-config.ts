import { z } from 'zod'
import { templateSchema } from '../flow/expression-schema.ts'
import { valueTemplate } from '../flow/value-template.ts'
import { credentialName, location, size, someTime } from '../kernel/schema.ts'
import { gateLimits } from '../protocols/dataverse/gate.ts'

const name = z.string().regex(/^[A-Za-z_][\w.]{0,127}$/, 'a name of Dataverse: letters, digits, underscore')

export const dataverseOperations = [
  'upsert',
  'check-then-write',
  'create',
  'update',
  'check',
  'upsert-many',
  'create-many',
  'action',
  'function',
] as const

/** What a flow document says under `dataverse`. */
export const dataverseConfig = z
  .strictObject({
    url: z
      .url({ protocol: /^https?$/ })
      .refine(
        text => !URL.canParse(text) || isOrigin(new URL(text)),
        'the address of the environment alone, without a path',
      )
      .meta({ description: 'Address of the environment.', examples: ['https://contoso.crm4.dynamics.com'] }),
    version: z
      .string()
      .regex(/^v9\.\d$/, 'a version of the Web API: v9.2')
      .default('v9.2')
      .meta({ description: 'Version of the Web API.' }),
    set: name.optional().meta({
      description: 'Entity set, the plural name of the table.',
      examples: ['accounts', 'new_inventories'],
    }),
    key: z
      .union([z.array(name).min(1).max(16), z.record(name, valueTemplate), templateSchema])
      .optional()
      .meta({
        description:
          'Which record: columns of an alternate key whose values stand in the body, the same with templates for their values, or one template that gives the id of the record.',
        examples: [['accountnumber'], { accountnumber: '${message.body.number}' }, '${message.accountid}'],
      }),
    operation: z.enum(dataverseOperations).default('upsert').meta({
      description:
        'upsert: changes or makes the record, in one request. check-then-write: looks for it first, then PATCH by id or POST. create, update: refuse the other case. check: only looks, and answers with what select names. upsert-many, create-many: the body is a list of records, 5,000 at most. action, function: calls an action or function (custom APIs).',
    }),
    name: name.optional().meta({
      description:
        'Name of the action or function. With set and key it is bound to that record, with set alone to the set.',
      examples: ['new_SetProduct', 'Microsoft.Dynamics.CRM.LockInvoicePricing'],
    }),
    body: valueTemplate.optional().meta({
      description:
        'The record, the list of records, or the parameters. Default: the JSON body of the message. Fields under @create go only into new records; where they refer to one that is not there, and there are fields under @unlinked, it is made without these references and with those fields.',
    }),
    select: z
      .array(name)
      .optional()
      .meta({
        description: 'Columns that check answers with, beside the id.',
        examples: [['statecode', 'statuscode']],
      }),
    expand: z
      .array(z.string().regex(/^[A-Za-z_][^&#?]{0,500}$/, 'a navigation property, with options in brackets'))
      .optional()
      .meta({ description: 'Navigation properties that check reads along.' }),
    id: name.optional().meta({
      description: 'Primary id column of the table. Default: what the environment says of the table.',
      examples: ['accountid'],
    }),
    'tell-id': z.boolean().default(true).meta({
      description:
        'Asks for the id with every change; the receipt then tells created from updated. Without it Dataverse answers faster and the receipt says upserted.',
    }),
    missing: z.enum(['null', 'fail', 'wait', 'ok']).optional().meta({
      description:
        'When there is no such record. check: null (default) is an answer with found: false, fail an error. update: fail (default) is an error that waits for a person; with wait the message is tried again within the retry policy, for records that another flow brings; with ok it is delivered, and nothing is made: for a state of what is gone from the other side.',
    }),
    'skip-unchanged': z.boolean().default(false).meta({
      description:
        'Sends nothing when the record was last sent with the very same values, as the key map remembers it. What people change in Dynamics 365 meanwhile stays then.',
    }),
    'only-changes': z.boolean().default(false).meta({
      description:
        'Sends of a known record only the columns whose values are others than those sent last, and nothing when there are none: fewer plug-ins run, and the audit log shows what changed.',
    }),
    'key-map': z
      .string()
      .regex(/^[A-Za-z0-9_.@:-]{1,128}$/, 'the name of a key map: letters, digits, dot, hyphen, underscore, @')
      .optional()
      .meta({
        description:
          'Key map that remembers the id of each record by its key. Default: none; for check-then-write, skip-unchanged and only-changes <set>@<host>.',
      }),
    by: z.enum(['record', 'changeset', 'multiple']).default('record').meta({
      description:
        'How upsert-many and create-many send. record: one request each. changeset: $batch with all of them or none. multiple: UpsertMultiple or CreateMultiple, all or none; where one record is refused, or has fields under @create, they go one by one. create-many is always all or none, in a changeset unless multiple is named.',
    }),
    'per-request': z.int().min(1).max(1000).default(100).meta({
      description: 'Records of one changeset or one UpsertMultiple.',
    }),
    references: z.enum(['wait', 'refuse']).default('wait').meta({
      description:
        'When the record refers to one that is not there. wait: the message is tried again within the retry policy, since a flow may bring it. refuse: an error at once, for questions whose caller waits.',
    }),
    reopen: z
      .strictObject({
        set: name.optional().meta({
          description: 'Entity set of the record that is closed. Default: the one that is written.',
          examples: ['invoices'],
        }),
        key: z
          .record(name, valueTemplate)
          .optional()
          .meta({
            description: 'Which record of that set.',
            examples: [{ new_sapkey: '${message.body.invoice}' }],
          }),
        with: z
          .strictObject({ statecode: z.int(), statuscode: z.int() })
          .default({ statecode: 0, statuscode: 1 })
          .meta({ description: 'State and reason in which it takes changes.' }),
      })
      .optional()
      .meta({
        description:
          'For records that are read-only once they are closed (paid invoices), or whose lines are: where Dynamics 365 refuses the change, it is opened, changed, and given the state that the change names or else the one that it had, in one changeset, all or none.',
        examples: [{}, { set: 'invoices', key: { new_sapkey: '${message.body.invoice}' } }],
      }),
    'detect-duplicates': z.boolean().default(false).meta({
      description: 'Lets the duplicate detection rules of the environment refuse doubles.',
    }),
    headers: z
      .record(
        z
          .string()
          .regex(/^(MSCRM\.[A-Za-z]{1,60}|CallerObjectId|Consistency)$/i, 'MSCRM.…, CallerObjectId or Consistency'),
        z
          .string()
          .regex(/^[\x20-\x7e]*$/)
          .max(256),
      )
      .default({})
      .meta({
        description: 'Headers of Dataverse that go with every change.',
        examples: [{ 'MSCRM.BypassCustomPluginExecution': 'true' }],
      }),
    auth: credentialName.optional().meta({
      description: 'Credential: OAuth 2.0 client credentials of an app that is an application user of the environment.',
    }),
    cleartext: z.boolean().default(false).meta({
      description: 'Lets the token go over plain http; only where the network is trusted.',
    }),
    via: location.optional(),
    ca: z.string().min(1).optional().meta({
      description: 'PEM file of a certificate authority to trust, relative to the flow.',
    }),
    timeout: someTime.prefault('120s').meta({ description: 'For each request, answer included.' }),
    concurrent: z.int().min(1).max(gateLimits.concurrent).default(gateLimits.concurrent).meta({
      description:
        'Requests at the same time, at most, over all flows with this environment and credential. The hub finds the pace below it by itself.',
    }),
    'requests-per-5m': z.int().min(1).max(1_000_000).default(gateLimits.requests).meta({
      description: 'Requests in any five minutes, over all flows with this environment and credential.',
    }),
    'max-answer': size.prefault('10MiB').meta({ description: 'The largest answer.' }),
    'on-unknown': z.enum(['set-aside', 'send-again']).optional().meta({
      description:
        'When the connection was lost after the request and before the answer, or a gateway got none that is valid (502) or waited for it in vain (504, or a page with 503 and no time to wait). Default: set-aside for create without a key, create-many and actions; all else is sent again, since doing it twice leaves the same.',
    }),
  })
  .superRefine((given, context) => {
    const { operation, key, set, url, auth } = given
    const fault = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
    const isCall = operation === 'action' || operation === 'function'
    if (isCall && given.name === undefined) fault('operation', `${operation} needs name, the name of the ${operation}`)
    if (!isCall && given.name !== undefined) fault('name', 'name goes with operation: action or function')
    if (!isCall && set === undefined) fault('operation', `${operation} needs set, the name of the entity set`)
    const needsKey = ['upsert', 'check-then-write', 'update', 'check', 'upsert-many'].includes(operation)
    if (needsKey && key === undefined) fault('operation', `${operation} needs key, which says which record`)
    if (operation.endsWith('-many') && key !== undefined && !Array.isArray(key)) {
      fault('key', 'for many records key is a list of columns, whose values stand in each record')
    }
    for (const option of ['skip-unchanged', 'only-changes'] as const) {
      if (!given[option] || ['upsert', 'check-then-write', 'update'].includes(operation)) continue
      fault(option, 'only upsert, check-then-write and update know what was sent before')
    }
    const ways = operation === 'check' ? ['null', 'fail'] : operation === 'update' ? ['fail', 'wait', 'ok'] : []
    if (given.missing !== undefined && !ways.includes(given.missing)) {
      fault('missing', `${operation} takes ${ways.length > 0 ? ways.join(', ') : 'nothing'} under missing`)
    }
    if (given.reopen && !['upsert', 'check-then-write', 'update', 'upsert-many'].includes(operation)) {
      fault('reopen', 'reopen goes with upsert, check-then-write, update and upsert-many')
    }
    if (given.reopen && (given.reopen.set === undefined) !== (given.reopen.key === undefined)) {
      fault('reopen', 'set and key of reopen go together')
    }
    if (given.reopen && given.reopen.set === undefined && operation === 'upsert-many') {
      fault('reopen', 'for many records reopen names set and key of the record that they belong to')
    }
    if ((given.select ?? given.expand) && operation !== 'check') fault('operation', 'select and expand go with check')
    if (auth !== undefined && isReadable(url) && given.via === undefined && !given.cleartext) {
      fault('auth', 'over http:// everybody on the way reads the token; use https://, via, or cleartext: true')
    }
  })

export type DataverseConfig = z.output<typeof dataverseConfig>

function isOrigin({ pathname, search, hash, username, password }: URL): boolean {
  return pathname === '/' && search === '' && hash === '' && username === '' && password === ''
}

function isReadable(url: string): boolean {
  return /^http:/i.test(url) && !/^http:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1\])([:/?#]|$)/i.test(url)
}
