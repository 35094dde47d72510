import type { Json, JsonObject } from '../../kernel/json.ts'
import type { Clock } from '../../kernel/time.ts'
import { answerContacts, answerEvents, answerTasks } from './collections.ts'
import type { DeltaRounds } from './delta.ts'
import { type GraphRefusal, refusals } from './graph-error.ts'
import type { GraphMailbox } from './mailbox.ts'
import { answerMessages } from './messages.ts'
import type { Manner } from './show.ts'
import type { StoredSubscription, Subscriptions } from './subscriptions.ts'

/** What a token of the sign-in twin says of its application. */
export interface AppClaims {
  readonly aud: string
  readonly appid: string
  readonly roles?: readonly string[] | undefined
}

export interface GraphRequest {
  readonly method: string
  /** Behind the root, with the query. */
  readonly target: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Json | undefined
  readonly claims: AppClaims
}

export interface GraphReply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Json
  /** Instead of `body`. */
  readonly bytes?: Buffer
}

export interface GraphWorld {
  readonly clock: Clock
  readonly mailboxes: ReadonlyMap<string, GraphMailbox>
  readonly rounds: DeltaRounds
  readonly subscriptions: Subscriptions
  /** Items of a page where the caller wishes no other. */
  readonly pageSize: number
  /** `http://127.0.0.1:40443/v1.0/` */
  root(): string
  /** Ids of EWS and the items they are of; for translateExchangeIds. */
  readonly ewsIds: Map<string, string>
  /** Called after each event that was created. */
  created(): void
}

/** A request on its way through the twin, with what its path has named so far. */
export interface Visit {
  readonly world: GraphWorld
  readonly request: GraphRequest
  readonly mailbox: GraphMailbox
  readonly fields: URLSearchParams
  /** Segments of the path behind the user, decoded. */
  readonly rest: readonly string[]
  readonly manner: Manner
  /** Items that the caller wants on a page. */
  readonly pageSize: number
}

/** Answers one request; refusals are thrown. */
export async function answerRequest(world: GraphWorld, request: GraphRequest): Promise<GraphReply> {
  const [path = '', query = ''] = request.target.split(/\?(.*)/s)
  const segments = path
    .split('/')
    .filter(each => each !== '')
    .map(decode)
  const fields = new URLSearchParams(query.replaceAll('+', '%2B'))
  const [area, user, ...rest] = segments
  if (area === 'subscriptions') return answerSubscriptions(world, request, segments.slice(1))
  if (area !== 'users') throw refusals.noResource(area ?? '')
  if (user === undefined) return listUsers(world, request)
  const mailbox = findMailbox(world, user)
  if (!mailbox) throw rest.length === 0 ? notThere(user) : refusals.noUser(user)
  const visit: Visit = { world, request, mailbox, fields, rest, ...manners(world, request) }
  if (rest.length === 0) {
    needRole(request, ['User.ReadBasic.All', 'User.Read.All', 'Directory.Read.All'])
    return { status: 200, body: showUser(mailbox) }
  }
  return answerMailbox(visit)
}

async function answerMailbox(visit: Visit): Promise<GraphReply> {
  const { mailbox, request, rest } = visit
  const [area = '', id] = rest
  needRole(request, rolesOf(area))
  if (!mailbox.inScope) throw refusals.outOfScope()
  if (!mailbox.isOnline) throw refusals.noMailbox()
  switch (area) {
    case 'mailboxSettings':
      return { status: 200, body: { timeZone: 'W. Europe Standard Time', userPurpose: { value: 'user' } } }
    case 'translateExchangeIds':
      return { status: 200, body: { value: translate(visit) } }
    case 'mailFolders':
    case 'messages':
      return answerMessages(visit)
    case 'events':
    case 'calendarView':
      return answerEvents(visit)
    case 'contacts':
    case 'contactFolders':
      return answerContacts(visit)
    case 'todo':
      return answerTasks(visit)
    case 'outlook':
      if (id === 'masterCategories' && request.method === 'GET') return { status: 200, body: { value: [] } }
      break
    default:
  }
  throw refusals.noResource(area)
}

function rolesOf(area: string): readonly string[] {
  switch (area) {
    case 'mailFolders':
    case 'messages':
      return ['Mail.ReadWrite']
    case 'events':
    case 'calendarView':
      return ['Calendars.ReadWrite']
    case 'contacts':
    case 'contactFolders':
      return ['Contacts.ReadWrite']
    case 'todo':
      return ['Tasks.ReadWrite.All']
    case 'mailboxSettings':
    case 'outlook':
      return ['MailboxSettings.ReadWrite', 'MailboxSettings.Read']
    default:
      return ['User.ReadBasic.All', 'User.Read.All', 'Mail.ReadWrite']
  }
}

/** Without any role Graph speaks of privileges; with others than the wanted ones, of access. */
export function needRole({ claims }: GraphRequest, wanted: readonly string[]): void {
  const roles = claims.roles ?? []
  if (wanted.some(role => roles.includes(role))) return
  throw roles.length === 0 ? refusals.notGranted() : refusals.noRole()
}

function manners(world: GraphWorld, { headers }: GraphRequest): { manner: Manner; pageSize: number } {
  const prefer = headers['prefer'] ?? ''
  const size = Number(/odata\.maxpagesize=(\d{1,4})/i.exec(prefer)?.[1] ?? world.pageSize)
  return {
    manner: {
      hasImmutableIds: /IdType="ImmutableId"/.test(prefer),
      timeZone: /outlook\.timezone="([^"]+)"/.exec(prefer)?.[1] ?? 'UTC',
      bodyType: /outlook\.body-content-type="text"/.test(prefer) ? 'text' : 'html',
    },
    pageSize: Math.max(1, Math.min(size, world.pageSize)),
  }
}

function findMailbox({ mailboxes }: GraphWorld, name: string): GraphMailbox | undefined {
  const lower = name.toLowerCase()
  return mailboxes.get(lower) ?? [...mailboxes.values()].find(each => each.userId === lower)
}

function notThere(user: string): GraphRefusal {
  const refusal = refusals.noResource(user)
  return Object.assign(refusal, { code: 'Request_ResourceNotFound' })
}

function showUser(mailbox: GraphMailbox): JsonObject {
  const { address, userId } = mailbox
  const displayName = address.split('@')[0] ?? address
  return { id: userId, displayName, mail: address, userPrincipalName: address, accountEnabled: true }
}

function listUsers(world: GraphWorld, request: GraphRequest): GraphReply {
  if (request.method !== 'GET') throw refusals.notAllowed(request.method)
  needRole(request, ['User.ReadBasic.All', 'User.Read.All', 'Directory.Read.All'])
  return { status: 200, body: { value: [...world.mailboxes.values()].map(showUser) } }
}

async function answerSubscriptions(
  world: GraphWorld,
  request: GraphRequest,
  rest: readonly string[],
): Promise<GraphReply> {
  const { method, body } = request
  const [id] = rest
  if (id === undefined) {
    if (method !== 'POST') throw refusals.notAllowed(method)
    const document = objectOf(body)
    const [, user = '', area = ''] =
      /^\/?users\/([^/]+)\/(?:mailFolders\/[^/]+\/)?(messages|events|contacts|todo\/lists\/[^/]+\/tasks)$/i.exec(
        String(document['resource']),
      ) ?? []
    const mailbox = findMailbox(world, decode(user))
    if (!mailbox) throw refusals.malformed('Resource is invalid.')
    const name = area.split('/')[0] ?? ''
    needRole(request, rolesOf(name))
    return { status: 201, body: showSubscription(await world.subscriptions.create(document, mailbox.address, name)) }
  }
  if (method === 'DELETE') {
    world.subscriptions.remove(id)
    return { status: 204 }
  }
  if (method === 'GET') return { status: 200, body: showSubscription(world.subscriptions.get(id)) }
  if (method !== 'PATCH') throw refusals.notAllowed(method)
  return { status: 200, body: showSubscription(world.subscriptions.renew(id, objectOf(body)['expirationDateTime'])) }
}

function showSubscription(subscription: StoredSubscription): JsonObject {
  const { id, resource, changeTypes, notificationUrl, expiresAt } = subscription
  return {
    id,
    resource,
    changeType: changeTypes.join(','),
    notificationUrl,
    expirationDateTime: new Date(expiresAt).toISOString(),
  }
}

/** POST translateExchangeIds: at most 1000 of one kind, of one mailbox. */
function translate({ request, world, mailbox }: Visit): readonly Json[] {
  const { inputIds, sourceIdType, targetIdType } = objectOf(request.body)
  if (!Array.isArray(inputIds) || inputIds.length > 1000) throw refusals.malformed('InputIds is invalid.')
  if (sourceIdType !== 'ewsId' || targetIdType !== 'restImmutableEntryId')
    throw refusals.malformed('The id types are invalid.')
  return inputIds.map(source => {
    const item = mailbox.items.get(world.ewsIds.get(String(source)) ?? '')
    return item
      ? { sourceId: source, targetId: item.id }
      : { sourceId: source, errorDetails: { code: 'ErrorInvalidIdMalformed', message: 'Id is malformed.' } }
  })
}

export function objectOf(body: Json | undefined): JsonObject {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw refusals.malformed('Unable to read JSON request payload.')
  return body as JsonObject
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    throw refusals.malformed('The path has a broken escape.')
  }
}
