import { refuse } from './entra-error.ts'

/** What a person reads on the consent page, by the short name of the permission. */
export const permissions: Readonly<Record<string, string>> = {
  'IMAP.AccessAsUser.All': 'Read and write access to your mail via IMAP.',
  'SMTP.Send': 'Access to sending emails from your mailbox via SMTP.',
  openid: 'Sign you in.',
  profile: 'View your basic profile.',
  email: 'View your email address.',
  offline_access: 'Maintain access to data you have given it access to.',
}

/** Names under which Exchange Online is known; the token names the one that was asked for. */
const exchangeResources = ['https://outlook.office.com', 'https://outlook.office365.com', 'https://ps.outlook.com']
const graphResource = 'https://graph.microsoft.com'
const resources = [...exchangeResources, graphResource]
/** Application permissions of Microsoft Graph; all others are of Exchange. */
export const graphRoles: readonly string[] = [
  'Mail.ReadWrite',
  'Calendars.ReadWrite',
  'Contacts.ReadWrite',
  'Tasks.ReadWrite.All',
  'MailboxSettings.ReadWrite',
  'User.ReadBasic.All',
]
const signInScopes = ['openid', 'profile', 'email', 'offline_access']

/** A `scope` parameter, understood. */
export interface ScopeRequest {
  /** The audience of the access token; undefined when only sign-in scopes were asked for. */
  readonly resource: string | undefined
  /** Short names, sign-in scopes among them; `/.default` stands for all that the app is registered with. */
  readonly names: readonly string[]
  readonly isDefault: boolean
}

/** Reads a `scope` parameter; throws the refusals of Entra for scopes it does not know or cannot mix. */
export function readScope(text: string, tenant: string): ScopeRequest {
  const wanted = new Set<string>()
  const names: string[] = []
  let isDefault = false
  for (const scope of text.split(/\s+/).filter(part => part !== '')) {
    if (signInScopes.includes(scope)) {
      names.push(scope)
      continue
    }
    const match = /^(https?:\/\/[^/]+)\/+([A-Za-z.]+)$/.exec(scope)
    if (!match) throw refuse('SCOPE_INVALID', { scope })
    const [, resource = '', name = ''] = match
    if (!resources.includes(resource) && !isDynamics(resource))
      throw refuse('RESOURCE_UNKNOWN', { scope: resource, tenant })
    wanted.add(resource)
    if (name === '.default') isDefault = true
    else if (name in permissions) names.push(name)
    else throw refuse('SCOPE_INVALID', { scope })
  }
  if (wanted.size > 1) throw refuse('RESOURCES_MIXED')
  if (names.length === 0 && !isDefault) throw refuse('SCOPE_INVALID', { scope: text })
  return { resource: [...wanted][0], names: [...new Set(names)], isDefault }
}

/** Environments of Dynamics 365 are known under their own address; the one on loopback is the twin's. */
function isDynamics(resource: string): boolean {
  return /^https:\/\/[a-z0-9-]+\.(api\.)?crm\d{0,2}\.dynamics\.com$|^https?:\/\/127\.0\.0\.1:\d+$/.test(resource)
}

/** Splits what the app may do for a user into the part that the token names and the part that is about signing in. */
export function resourceScopes(names: readonly string[]): readonly string[] {
  return names.filter(name => !signInScopes.includes(name))
}

/** A token names only the permissions at the resource that it is for. */
export function rolesAt(audience: string, roles: readonly string[]): readonly string[] {
  // In Dynamics 365 the roles of the application user decide, and the token names none.
  if (isDynamics(audience)) return []
  return roles.filter(role => graphRoles.includes(role) === (audience === graphResource))
}
