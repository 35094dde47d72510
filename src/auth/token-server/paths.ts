/** Where the token server answers; the names are those of SAP's (`/oauth/token`, `/token_keys`). */
export const paths = {
  authorize: '/oauth/authorize',
  token: '/oauth/token',
  signIn: '/oauth/sign-in',
  switchUser: '/oauth/switch-user',
  keys: '/token_keys',
  introspect: '/introspect',
  revoke: '/revoke',
} as const

const exactPaths = new Set<string>([
  paths.authorize,
  paths.token,
  paths.keys,
  paths.introspect,
  paths.revoke,
  `${paths.switchUser}/confirm`,
  '/.well-known/openid-configuration',
  '/.well-known/oauth-authorization-server',
])

/** Whether a path (without its query) is one of the token server's. */
export function isTokenPath(path: string): boolean {
  return exactPaths.has(path) || path.startsWith(`${paths.authorize}/`) || path.startsWith(`${paths.signIn}/`)
}
