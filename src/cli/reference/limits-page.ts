import { tokenLimits } from '../../api/admin-token.ts'
import { httpLimits } from '../../api/request-guard.ts'
import { apiLimits } from '../../api/server.ts'
import { oidcLimits } from '../../auth/administrators/oidc-log-in.ts'
import { sessionLimits } from '../../auth/administrators/sessions.ts'
import { guardLimits } from '../../auth/service/guard-limits.ts'
import { serviceLimits } from '../../auth/service/service-limits.ts'
import { tokenLimits as people } from '../../auth/token-server/token-limits.ts'
import { listingLimits } from '../../groupware/c4c/listing.ts'
import { peopleLimits } from '../../groupware/c4c/people.ts'
import { c4cDriverLimits } from '../../groupware/c4c-driver.ts'
import { organizationLimits } from '../../groupware/organizations/limits.ts'
import { scheduleLimits } from '../../groupware/schedule/limits.ts'
import { jsonLimits } from '../../kernel/json.ts'
import { keyMapLimits } from '../../kernel/key-map.ts'
import { defaultLimits } from '../../kernel/limit.ts'
import { formatSize } from '../../kernel/size.ts'
import { formatDuration } from '../../kernel/time.ts'
import { gateLimits } from '../../protocols/dataverse/gate.ts'
import { ewsLimits } from '../../protocols/ews/limits.ts'
import { graphLimits } from '../../protocols/graph/limits.ts'
import { patienceLimits } from '../../protocols/imap/limits.ts'
import { multipartLimits } from '../../protocols/mime/read-multipart.ts'
import { proxyLimits } from '../../protocols/net/http-proxy.ts'
import { soapLimits } from '../../protocols/soap/soap.ts'
import { xiLimits } from '../../protocols/xi/limits.ts'
import { xmlLimits } from '../../protocols/xml/xml-reader.ts'

// The compiler holds these tables complete: a new limit without a sentence does not pass.
const ofTheHub: { readonly [K in keyof typeof defaultLimits]: string } = {
  messageBytes: 'The largest body that a sender may hand over.',
  headerBytes: 'All headers and attributes of one message together.',
  parseBytes:
    'The largest body that an expression, a map or a validate step reads into memory; also of a repair of body and headers at once.',
  inlineBytes: 'Bodies above this lie in files beside the database instead of in it.',
  queuedPerFlow: 'Deliveries of one flow that wait; above it the sender is asked to come back later.',
  runningDeliveries:
    'Deliveries that run at the same time in one hub. Half of them are divided among the flows in advance, so that one whose receiver hangs leaves the others their share.',
  stepMs: 'The longest one step or receiver may take.',
  keptResultBytes:
    'The largest result that is kept with a delivery for a caller who asks again; a larger one is given once.',
  splitParts: 'Parts that one split may make.',
}

const ofHttp: { readonly [K in keyof typeof httpLimits]: string } = {
  headerBytes: 'Request line and headers of one HTTP request.',
  headersMs: 'Until the headers of a request are complete.',
  requestMs: 'Until a request is complete, body included.',
  idleMs: 'Without a byte in either direction while a request or an answer is under way.',
  keepAliveMs: 'Between two requests on one connection.',
  connections: 'Connections at the same time.',
}

const ofTheGuard: { readonly [K in keyof typeof guardLimits]: string } = {
  failuresPerAddress: 'Wrong credentials from one address (IPv6: from one /64) within `failuresWithinMs`; then 429.',
  failuresPerClient: 'Wrong credentials for one client from one address within `failuresWithinMs`; then 429.',
  failuresWithinMs: 'The time in which they are counted. The right credential always passes.',
  addressesRemembered: 'Addresses whose failures are remembered; the oldest is forgotten first.',
  cacheMs: 'How long a right credential is not computed again; whether it still counts is asked at every call.',
  cacheEntries: 'Right credentials that are remembered.',
  tokenBytes: 'The longest token that is looked at.',
  basicBytes: 'The longest client id and secret that are looked at, as base64.',
}

const ofServices: { readonly [K in keyof typeof serviceLimits]: string } = {
  instancesPerPlan: 'Service instances of one plan in a space that has no quota of its own.',
  spaces: 'Spaces.',
  roles: 'Roles, those of the hub included.',
  rolesPerInstance: 'Roles of one service instance.',
  redirectUrisPerInstance: 'Redirect URIs of one service instance.',
  keysPerInstance: 'Keys of one service instance that can be used.',
  endedKeysKept: 'Keys of one service instance that ended and are still listed.',
  overlapMs: 'The longest time for which an old key works on after a rotation.',
  certificateDays: 'Days for which a certificate of the hub may be valid.',
  secretDays: 'Days for which a secret with an end may be valid.',
  secretLetters: 'Letters of a secret that are looked at.',
}

const ofSessions: { readonly [K in keyof typeof sessionLimits]: string } = {
  absoluteMs: 'How long a session of an administrator lasts.',
  idleMs: 'How long it lasts without a call.',
  perPerson: 'Sessions of one administrator; the oldest ends first.',
  flushMs: 'How much of the last use a hub that is killed may forget.',
}

const ofLogIns: { readonly [K in keyof typeof oidcLimits]: string } = {
  openForMs: 'How long a log-in at an identity provider may take.',
  usedMax: 'Ways back from there that are remembered as used; the oldest is forgotten first.',
  requestMs: 'How long a request to the identity provider may take.',
  answerBytes: 'The largest answer of it that is read.',
  nameLetters: 'Length of a name that it vouches for.',
  groups: 'Groups that count.',
}

const ofKeyMaps: { readonly [K in keyof typeof keyMapLimits]: string } = {
  mapLetters: 'Letters in the name of a key map.',
  keyLetters: 'Letters of a key.',
  valueBytes: 'The largest value, as JSON.',
}

const ofXml: { readonly [K in keyof typeof xmlLimits]: string } = {
  depth: 'Elements of XML inside each other.',
  elements: 'Elements of one document, or of one IDoc in a packet; also values of JSON that a mapping reads.',
  textLength: 'Characters of one text.',
  attributes: 'Attributes of one element.',
  nameLength: 'Letters of a name.',
  attributesLength: 'Characters of all attributes of one element.',
}

const ofJson: { readonly [K in keyof typeof jsonLimits]: string } = {
  groups: 'Lists and groups of one body that steps and expressions read.',
}

const ofProxies: { readonly [K in keyof (typeof xiLimits & typeof multipartLimits & typeof soapLimits)]: string } = {
  envelopeBytes: 'The envelope of an XI message, without payloads.',
  earlyBytes: 'Payloads that stand before the envelope of an XI message.',
  payloads: 'Payloads that the manifest of an XI message names.',
  textLetters: 'Letters of one name, id or text in the header of an XI message.',
  headerLength: 'Letters of a SOAP envelope before its payload begins.',
  parts: 'Parts of one multipart content.',
  partHeaderBytes: 'The header of one part.',
  preambleBytes: 'What may stand before the first boundary.',
  boundaryLetters: 'Letters of a boundary.',
}

const ofHttpProxies: { readonly [K in keyof typeof proxyLimits]: string } = {
  answerBytes: 'Status and headers of its answer to CONNECT.',
}

const ofMailServers: { readonly [K in keyof typeof patienceLimits]: string } = {
  termMs:
    'What a command may take, beside `timeout` of the sender, that moves no data; with data, the time in which `termBytes` have to come. Then `IMAP_TOO_SLOW`.',
  termBytes: '1 KiB a second; a mail that brings it is given another `termMs`.',
  commandMs: 'One command, whatever it brings.',
}

const ofDynamics: { readonly [K in keyof typeof gateLimits]: string } = {
  concurrent: 'Requests at the same time; a receiver names fewer with `concurrent`.',
  requests: 'Requests within `windowMs`; a receiver names another number with `requests-per-5m`.',
  windowMs: 'The time in which they are counted.',
  pauseMs: 'The longest time that Retry-After is taken to name.',
}

const ofOrganizations: { readonly [K in keyof typeof organizationLimits]: string } = {
  organizations: 'Organizations of one hub.',
  profiles: 'Profiles of one hub.',
  mailboxesPerOrganization: 'Mailboxes of one organization.',
  listRows: 'Mailboxes of one list or CSV.',
  listBytes: 'The largest list or CSV.',
  listMistakes: 'Mistakes of a list that are told one by one.',
  listMistakesMax: 'Mistakes after which a list is not read on: it is none.',
  logLines: 'Lines of the log of one mailbox; the oldest go.',
  jobParallel: 'Mailboxes that one bulk action works on at the same time.',
  refusedInARow:
    'Mailboxes in a row that are refused in words that fit them as well as the account (403), before the account rests.',
  busyRests:
    'Waits in a row that a bulk activation keeps where the servers are busy; after them it goes on without asking them.',
  jobStoreMs: 'How often the progress of a bulk action is stored.',
  jobFailures: 'Failures that a bulk action tells one by one.',
  jobKeepMs: 'How long ended bulk actions are listed.',
  progressStoreMs: 'How often the counts of mailboxes are stored.',
  previewItems: 'Items that a preview tells one by one; all are counted.',
  previewMs: 'How long a preview may take.',
  testMs: 'How long a test of access may take.',
  everyMsMin: 'The shortest `every` of an organization.',
  everyMsMax: 'The longest `every` of an organization.',
  overlapMsMin: 'The shortest `overlap` of a CRM.',
  overlapMsMax: 'The longest `overlap` of a CRM.',
}

const ofTheSchedule: { readonly [K in keyof typeof scheduleLimits]: string } = {
  running: 'Mailboxes that are synced at the same time.',
  runningFirst: 'Of one organization at first.',
  runningPerOrganization: 'Of one organization at most, while its servers do not complain.',
  pollMs: 'How often a mailbox is asked where its organization names no `every`.',
  watchedPollMs: 'How often a mailbox with notifications is asked all the same.',
  goOnMs: 'After a start of the hub, rounds that it had not ended go on within this.',
  pushDelayMs: 'How long a burst of notifications is waited for.',
  jitter: 'The share of a wait that is left to chance.',
  mailboxFirstMs: 'The first wait of a mailbox that fails; it doubles.',
  mailboxUpToMs: 'The longest wait of a mailbox that fails, and the wait of one that a person has to look after.',
  accountFirstMs: 'The first wait of an account that is busy without saying for how long; it doubles.',
  accountUpToMs: 'The longest wait of such an account.',
  wishFirstMs: 'The shortest wait that a server may wish (`Retry-After: 0`); it doubles up to the first waits above.',
  wishUpToMs: 'The longest wait that a server may wish.',
  accountProbeMs: 'How often an account that was refused is tried.',
  accountDoubtMs:
    'The first wait where it may as well be its mailboxes that are refused; it doubles up to the one above.',
  initialEvery: 'Of so many turns of an organization one is a first sync, when one waits.',
  againAtOnce: 'Turns of a mailbox one after the other while something is left to do; then it waits.',
  againFirstMs: 'The first wait after those; it doubles.',
  turnMsAssumed: 'What a turn is charged with before it is known how long it takes, in milliseconds.',
}

const ofEws: { readonly [K in keyof typeof ewsLimits]: string } = {
  answerBytes: 'One answer of Exchange, a mail with its attachments included.',
  errorBytes: 'What is read of an answer that is an error.',
  depth: 'Elements inside each other.',
  nameLength: 'Letters of one name.',
  elements: 'Elements of one answer.',
  syncPage: 'Changes of one page.',
  batchItems: 'Items of one batch that is read.',
  streamSubscriptions: 'Mailboxes of one stream of notifications.',
  connections: 'Requests of one account at the same time.',
  streamConnections: 'Streams of one account at the same time.',
  streamMinutes: 'For how long one stream is open, in minutes; then another one is opened.',
  streamSilenceMs: 'A stream that is silent for longer counts as lost.',
  streamEnvelopeBytes: 'One notification.',
  autodiscoverHops: 'Redirects that Autodiscover follows.',
}

const ofGraph: { readonly [K in keyof typeof graphLimits]: string } = {
  answerBytes: 'One answer of Microsoft Graph: a page, an item, a batch.',
  errorBytes: 'What is read of an answer that is an error.',
  attachmentBytes: 'The bytes of one attachment that is read.',
  inlineAttachmentBytes: 'The attachments of one mail that is written; Graph takes no more in one request.',
  batchRequests: 'Requests of one batch.',
  pages: 'Pages of one query.',
  pageItems: 'Items of a page that are asked for.',
  batchRounds: 'How often what Graph tells to come later is asked again.',
  batchWaitMs: 'How long that may take before the mailbox waits instead.',
  notificationBytes: 'The body of a notification.',
  notifications: 'Notifications in one body.',
}

const c4cLimits = { ...c4cDriverLimits, ...listingLimits, ...peopleLimits }

const ofC4C: { readonly [K in keyof typeof c4cLimits]: string } = {
  batch: 'Entities of Cloud for Customer that one request reads or writes.',
  attachmentBytes: 'The attachments of one mail that is saved.',
  requestBytes: 'Attachments with which a request is full; the mail that fills it goes along whole.',
  readableMs: 'For how long it is remembered that the technical user may read a set.',
  occurrences: 'Occurrences of one series that stand in Cloud for Customer; further ones follow as days go by.',
  listedWhole: 'Items of each set that the first listing of a mailbox brings whole.',
  changedAtOnce: 'Changes of each of several sets that one request brings.',
  employeeMs: 'For how long an employee is remembered.',
  singles: 'Employees that are asked for one by one; whoever comes next is looked up in the list of all.',
}

/** Every limit with its name, its default and what it is for. */
export function limitsPage(): string {
  return `# Limits

Limits of the hub, raised in isthmus.yaml under their names (\`limits: { messageBytes: 200MiB }\`). Reaching one is an
error with a code, and counts in the metric \`isthmus_limit_reached_total{limit}\`.

${tableOf(defaultLimits, ofTheHub)}
Limits of the HTTP servers (admin API and endpoints of flows). They are fixed.

${tableOf(httpLimits, ofHttp)}
Limits of XML that is read. They are fixed.

${tableOf(xmlLimits, ofXml)}
Limits of JSON that is read. They are fixed.

${tableOf(jsonLimits, ofJson)}
Limits of proxy messages and SOAP; payloads themselves are streamed, up to \`messageBytes\`. They are fixed.

${tableOf({ ...xiLimits, ...soapLimits, ...multipartLimits }, ofProxies)}
How long an IMAP server may go on sending without ending a command; one that is silent has \`timeout\` of the sender. They are
fixed. For SMTP all times are those under \`timeouts\` of the receiver, however many bytes come or go meanwhile, and \`stepMs\`.

${tableOf(patienceLimits, ofMailServers)}
Limits towards an HTTP proxy. They are fixed; the time for its answer is part of that for the connection.

${tableOf(proxyLimits, ofHttpProxies)}
Limits of the check of callers. They are fixed.

${tableOf(guardLimits, ofTheGuard)}
Limits of service instances and their keys. They are fixed; \`isthmus space write\` sets quotas.

${tableOf(serviceLimits, ofServices)}
Limits of sessions of administrators, and of their log-in at an identity provider. They are fixed.

${tableOf({ ...sessionLimits, ...oidcLimits }, { ...ofSessions, ...ofLogIns })}
Limits of key maps (steps \`remember\` and \`lookup\`). They are fixed.

${tableOf(keyMapLimits, ofKeyMaps)}
Limits of Dynamics 365 that the hub keeps of its own accord, for each environment and credential.

${tableOf(gateLimits, ofDynamics)}
Limits of the administration of the groupware sync. They are fixed.

${tableOf(organizationLimits, ofOrganizations)}
Limits of the work on mailboxes. They are fixed; servers that ask for more patience get it.

${tableOf(scheduleLimits, ofTheSchedule)}
Limits towards Exchange (EWS), Microsoft Graph and SAP Cloud for Customer. They are fixed.

${tableOf(ewsLimits, ofEws)}
${tableOf(graphLimits, ofGraph)}
${tableOf(c4cLimits, ofC4C)}
Bodies of calls to the admin API hold at most ${formatSize(apiLimits.bodyBytes)}, but for repairs of messages. More than ${tokenLimits.failuresMax} calls with a wrong token from one
address within ${formatDuration(tokenLimits.withinMs)} are answered with 429; the right token always passes. At the token server \`openInteractions\` (${people.openInteractions}) log-ins of people may be begun and
not ended; then the oldest of the address that began most gives way to a new one.
`
}

function tableOf<T extends Readonly<Record<string, number>>>(
  values: T,
  words: { readonly [K in keyof T]: string },
): string {
  const rows = Object.entries(values).map(
    ([name, value]) => `| \`${name}\` | ${amount(name, value)} | ${words[name]} |\n`,
  )
  return `| limit | default | what for |\n| --- | --- | --- |\n${rows.join('')}`
}

function amount(name: string, value: number): string {
  if (name.endsWith('Bytes')) return formatSize(value)
  return name.endsWith('Ms') ? formatDuration(value) : String(value)
}
