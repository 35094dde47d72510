import { apis, isMethod, type Method, type MethodName, methods, type RecordKind, records } from './methods.ts'

/** Roles of the APIs at their stage; the flow hands them over. */
type Roles = Readonly<Record<keyof typeof apis, string>>

/** The OpenAPI description of the five APIs, made from the same table that checks the calls. */
export default function openApi(roles: Roles): object {
  const names = Object.keys(methods).filter(isMethod)
  return {
    openapi: '3.1.0',
    info: {
      title: 'Dynamics 365 for S/4HANA',
      version: '1.0.0',
      description:
        'Check says whether a record is there and gives its id, Set makes or changes it, Get Status says how it stands. Each method can also be called by a synchronous IDoc (ZCRMQUERY01, answered by ZCRMANSWER01) and by a synchronous proxy, with the same names.',
    },
    servers: [{ url: '/flows' }],
    tags: Object.entries(apis).map(([name, title]) => ({ name, description: title })),
    security: [{ client: [] }, { basic: [] }],
    paths: Object.fromEntries(
      names.map(name => [`/crm/${methods[name].api}/${methods[name].path}`, pathOf(name, roles)]),
    ),
    components: {
      securitySchemes: {
        client: {
          type: 'oauth2',
          description: 'Token of the hub for a service key.',
          flows: { clientCredentials: { tokenUrl: '/oauth/token', scopes: {} } },
        },
        basic: { type: 'http', scheme: 'basic', description: 'Client id and secret of a service key.' },
      },
      schemas: {
        ...Object.fromEntries(Object.entries(records).map(([name, kind]) => [name, recordSchema(kind)])),
        Answer: answerSchema,
        Accepted: acceptedSchema,
        Problem: problemSchema,
      },
    },
  }
}

function pathOf(name: MethodName, roles: Roles): object {
  const method: Method = methods[name]
  const { title, api, kind, record } = method
  const { fields }: RecordKind = records[record]
  const common = {
    tags: [api],
    summary: title,
    'x-role': roles[api],
    'x-sap': { proxy: `${name}_Out`, proxyPath: `/crm-proxy/${api}`, idocMethod: name, idocPath: `/crm-idoc/${api}` },
    responses: responses(roles[api]),
  }
  const post = {
    ...common,
    operationId: name,
    requestBody: {
      required: true,
      content: {
        'application/json': {
          schema: { $ref: `#/components/schemas/${record}` },
          example: exampleOf(records[record], kind === 'set'),
        },
      },
    },
  }
  if (kind === 'set') return { post }
  const keys = Object.entries(fields).filter(([, { isKey }]) => isKey)
  const parameters = keys.map(([field, { about, example }]) => ({
    name: field,
    in: 'query',
    required: true,
    description: about,
    schema: { type: 'string' },
    example,
  }))
  return { get: { ...common, operationId: `${name}ByAddress`, parameters }, post }
}

function exampleOf({ fields }: RecordKind, isWhole: boolean): object {
  const wanted = Object.entries(fields).filter(([, { isKey }]) => isWhole || isKey)
  return Object.fromEntries(wanted.map(([name, { example }]) => [name, example]))
}

function recordSchema({ fields }: RecordKind): object {
  return {
    type: 'object',
    additionalProperties: false,
    required: Object.keys(fields).filter(name => fields[name]?.isKey),
    properties: Object.fromEntries(
      Object.entries(fields).map(([name, { about, example }]) => [
        name,
        { type: ['string', 'number', 'boolean', 'null'], description: about, examples: [example] },
      ]),
    ),
  }
}

const answerSchema = {
  type: 'object',
  required: ['Method', 'Found', 'ObjectId', 'Operation', 'ObjectKey'],
  properties: {
    Method: { type: 'string', enum: Object.keys(methods) },
    Found: { type: 'boolean' },
    ObjectId: { type: 'string', description: 'Id of the record in Dynamics 365; empty where there is none.' },
    Operation: { type: 'string', enum: ['found', 'missing', 'created', 'updated', 'skipped'] },
    ObjectKey: { type: 'string' },
    StateCode: { type: 'string' },
    StatusCode: { type: 'string' },
    CreditLimit: { type: 'string' },
    Currency: { type: 'string', description: 'Of the credit limit.' },
    CreditOnHold: { type: 'string' },
    IsDisabled: { type: 'string' },
  },
} as const

const acceptedSchema = {
  type: 'object',
  description: 'The hub has the call, and goes on with it.',
  required: ['id', 'state', 'status'],
  properties: {
    id: { type: 'string', description: 'Id of the message at the hub.' },
    state: { type: 'string', enum: ['accepted'] },
    duplicate: { type: 'boolean' },
    status: { type: 'string', description: 'Address that tells how it ends.' },
  },
} as const

const problemSchema = {
  type: 'object',
  description: 'What went wrong and what to do next (RFC 9457).',
  required: ['type', 'title', 'status'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { type: 'string', description: 'What docs/reference/errors.md explains.' },
    next: { type: 'string', description: 'What to do now.' },
    message: { type: 'string', description: 'Id of the message at the hub.' },
  },
}

function responses(role: string): object {
  const problem = (description: string) => ({
    description,
    content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
  })
  return {
    '200': {
      description: 'The answer.',
      content: { 'application/json': { schema: { $ref: '#/components/schemas/Answer' } } },
    },
    '202': {
      description:
        'Dynamics 365 takes longer than the call may, or asks to wait for longer; Location says where to ask.',
      headers: { Location: { description: 'Address that tells how it ends.', schema: { type: 'string' } } },
      content: { 'application/json': { schema: { $ref: '#/components/schemas/Accepted' } } },
    },
    '401': problem('No service key, or a wrong one.'),
    '403': problem(`The service key does not have the role ${role}.`),
    '413': problem('The body is larger than the hub takes.'),
    '415': problem('The body is packed (Content-Encoding).'),
    '422': problem('The call is not as this description says; the title names field, value and rule.'),
    '429': problem('Too many wrong secrets from this address; Retry-After says when to come back.'),
    '500': problem('A value that the flow cannot send, or a mistake of the hub; the title says which.'),
    '502': problem('Dynamics 365 refused it; the title says why, also which record is not there.'),
    '503': problem('The hub has as much to do as it may have, or stops; Retry-After says when to come back.'),
  }
}
