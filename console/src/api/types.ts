// Only types of the hub come into the console: what they describe travels as JSON.
import type { z } from 'zod'
import type { auditEntryView } from '../../../src/api/audit-routes.ts'
import type { connectorView, pathCheckView } from '../../../src/api/connector-views.ts'
import type { credentialView } from '../../../src/api/credential-routes.ts'
import type { checkView, documentView, probeView } from '../../../src/api/flow-routes.ts'
import type {
  accessTestView,
  explanationView,
  heldView,
  jobView,
  logLineView,
  mailboxDetailView,
  mailboxView,
  organizationView,
  previewView,
  profileView,
} from '../../../src/api/groupware-views.ts'
import type { healthView, hubView } from '../../../src/api/health-routes.ts'
import type { lineView } from '../../../src/api/log-routes.ts'
import type { problemSchema } from '../../../src/api/problem.ts'
import type { roleView } from '../../../src/api/role-routes.ts'
import type { instanceView, keyView } from '../../../src/api/service-views.ts'
import type { sessionView, waysView } from '../../../src/api/session-routes.ts'
import type {
  alertView,
  countsView,
  errorView,
  flowView,
  linkView,
  lossView,
  messageDetailView,
  messageView,
  reloadView,
  setAsideView,
} from '../../../src/api/views.ts'
import type { virtualHostStatus } from '../../../src/connector/wire.ts'

export type Alert = z.output<typeof alertView>
export type Counts = z.output<typeof countsView>
export type ToldError = z.output<typeof errorView>
export type Flow = z.output<typeof flowView>
export type FlowCheck = z.output<typeof checkView>
export type FlowDocument = z.output<typeof documentView>
export type FlowProbe = z.output<typeof probeView>
export type FlowReload = z.output<typeof reloadView>
export type SetAsidePass = z.output<typeof setAsideView>
export type Loss = z.output<typeof lossView>
export type Link = z.output<typeof linkView>
export type Message = z.output<typeof messageView>
export type MessageDetail = z.output<typeof messageDetailView>
export type Health = z.output<typeof healthView>
export type HubInfo = z.output<typeof hubView>
export type LogLine = z.output<typeof lineView>
export type Problem = z.output<typeof problemSchema>
export type Session = z.output<typeof sessionView>
export type Ways = z.output<typeof waysView>
export type Connector = z.output<typeof connectorView>
export type PathCheck = z.output<typeof pathCheckView>
export type VirtualHost = z.output<typeof virtualHostStatus>
export type AuditEntry = z.output<typeof auditEntryView>
export type Credential = z.output<typeof credentialView>
export type Organization = z.output<typeof organizationView>
export type Profile = z.output<typeof profileView>
export type Mailbox = z.output<typeof mailboxView>
export type MailboxDetail = z.output<typeof mailboxDetailView>
export type MailboxState = Mailbox['state']
export type AccessTest = z.output<typeof accessTestView>
export type Job = z.output<typeof jobView>
export type JournalLine = z.output<typeof logLineView>
export type Preview = z.output<typeof previewView>
export type Held = z.output<typeof heldView>
export type Explanation = z.output<typeof explanationView>
export type Instance = z.output<typeof instanceView>
export type ServiceKey = z.output<typeof keyView>
export type Role = z.output<typeof roleView>
