import { type ApiRole, apiRoleNames } from '../service/roles.ts'

/** A right at the admin API. Who may look after administrators could take every other right: no program gets it. */
export type Permission = ApiRole | 'AdministratorsEdit'

export const allPermissions: readonly Permission[] = [...apiRoleNames, 'AdministratorsEdit']

export const administratorRole = 'AuthGroup.Administrator'

interface AdminRole {
  readonly about: string
  readonly permissions: readonly Permission[]
}

const seeing = ['MonitoringDataRead', 'DataStoresAndQueuesRead', 'WorkspacePackagesRead'] as const

/** What administrators are given: bundles of rights, by SAP's names where SAP has one. */
export const adminRoles: ReadonlyMap<string, AdminRole> = new Map<string, AdminRole>([
  [administratorRole, { about: 'Does everything.', permissions: allPermissions }],
  [
    'SecurityAdministrator',
    {
      about: 'Enters credentials, manages keys, service instances, roles and users.',
      permissions: [
        'MonitoringDataRead',
        'CredentialsRead',
        'CredentialsEdit',
        'SecurityMaterialEdit',
        'SecurityMaterialDownload',
        'UserRolesRead',
        'UserRolesEdit',
        'AccessPoliciesRead',
        'AccessPoliciesEdit',
      ],
    },
  ],
  [
    'AuthGroup.IntegrationDeveloper',
    {
      about: 'Changes and starts flows, repairs what waits; reads no content of messages.',
      permissions: [
        ...seeing,
        'WorkspacePackagesEdit',
        'WorkspaceArtifactsDeploy',
        'DataStoresAndQueuesDelete',
        'CredentialsRead',
        'UserRolesRead',
        'TraceConfigurationRead',
        'TraceConfigurationEdit',
      ],
    },
  ],
  [
    'Operator',
    {
      about: 'Starts and stops flows, replays, repairs and skips messages.',
      permissions: [...seeing, 'WorkspaceArtifactsDeploy', 'DataStoresAndQueuesDelete', 'CredentialsRead'],
    },
  ],
  [
    'AuthGroup.BusinessExpert',
    { about: 'Sees messages with their content.', permissions: [...seeing, 'MessagePayloadsRead'] },
  ],
  ['AuthGroup.ReadOnly', { about: 'Sees messages and flows, and changes nothing.', permissions: seeing }],
  [
    'Auditor',
    {
      about: 'Reads the audit log, and who may do what.',
      permissions: ['MonitoringDataRead', 'AuditLogRead', 'UserRolesRead', 'CredentialsRead', 'AccessPoliciesRead'],
    },
  ],
])

/** The rights that come with roles; an unknown role gives none. */
export function permissionsOf(roles: readonly string[]): ReadonlySet<Permission> {
  return new Set(roles.flatMap(role => adminRoles.get(role)?.permissions ?? []))
}
