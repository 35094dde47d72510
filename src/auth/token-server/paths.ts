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

const reading: readonly string[] = ['GET', 'HEAD']

const methodsByPath = new Map<string, readonly string[]>([
  [paths.authorize, reading],
  [paths.token, ['POST']],
  [paths.keys, reading],
  [paths.introspect, ['POST']],
  [paths.revoke, ['POST']],
  [`${paths.switchUser}/confirm`, ['POST']],
  ['/.well-known/openid-configuration', reading],
  ['/.well-known/oauth-authorization-server', reading],
])

/** The methods that a path (without its query) of the token server takes; undefined: it is none of its paths. */
export function methodsOf(path: string): readonly string[] | undefined {
  if (path.startsWith(`${paths.authorize}/`)) return reading
  if (path.startsWith(`${paths.signIn}/`)) return [...reading, 'POST']
  return methodsByPath.get(path)
}

/** Whether a path (without its query) is one of the token server's. */
export function isTokenPath(path: string): boolean {
  return methodsOf(path) !== undefined
}
