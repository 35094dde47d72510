import type { Role } from './model.ts'

/** Letters, digits, underscore and dot, as in SAP Cloud Integration. */
export const roleNamePattern = /^[A-Za-z0-9_.]{1,100}$/

/** Rights at the admin API, by SAP's names. */
const apiRoles = [
  ['MonitoringDataRead', 'Sees messages, flows, links and alerts.'],
  ['MessagePayloadsRead', 'Reads the content of messages.'],
  ['DataStoresAndQueuesRead', 'Sees what waits.'],
  ['DataStoresAndQueuesDelete', 'Skips, repairs and replays what waits.'],
  ['WorkspacePackagesRead', 'Sees flow documents.'],
  ['WorkspacePackagesEdit', 'Changes flow documents.'],
  ['WorkspaceArtifactsDeploy', 'Starts and stops flows.'],
  ['CredentialsRead', 'Sees which credentials there are, and never a secret.'],
  ['CredentialsEdit', 'Enters and deletes credentials.'],
  ['SecurityMaterialEdit', 'Changes certificates and trust.'],
  ['SecurityMaterialDownload', 'Reads certificates.'],
  ['AuditLogRead', 'Reads who changed what.'],
  ['UserRolesRead', 'Sees roles, service instances, keys and users.'],
  ['UserRolesEdit', 'Creates and deletes roles, service instances and keys.'],
  ['AccessPoliciesRead', 'Sees access policies.'],
  ['AccessPoliciesEdit', 'Changes access policies.'],
  ['TraceConfigurationRead', 'Sees what is traced.'],
  ['TraceConfigurationEdit', 'Changes what is traced.'],
] as const

/** A right at the admin API that service instances may have. */
export type ApiRole = (typeof apiRoles)[number][0]

export const apiRoleNames: readonly ApiRole[] = apiRoles.map(([name]) => name)

/** Roles that are there from the start. */
export const predefinedRoles: ReadonlyMap<string, Role> = new Map(
  [
    predefined('ESBMessaging.send', 'Calls flows.', 'integration-flow'),
    predefined('API.invoke', 'Calls flows that stand for an API.', 'integration-flow'),
    ...apiRoles.map(([name, about]) => predefined(name, about, 'api')),
  ].map(role => [role.name, role]),
)

/** What an instance gets that names no roles: SAP's own default for flows, and nothing for the admin API. */
export const defaultRoles = { 'integration-flow': ['ESBMessaging.send'], api: [] } as const

function predefined(name: string, about: string, plan: Role['plan']): Role {
  return { name, about, plan, isPredefined: true }
}
