import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startApache } from './apache.ts'
import type { Need } from './needs.ts'
import { startTinyproxy } from './tinyproxy.ts'

export interface HttpProxyWish {
  /** Who may use it; everybody where left out. */
  readonly logIn?: { readonly user: string; readonly password: string }
  /** Hosts that it lets nobody through to. */
  readonly refuse?: readonly string[]
}

export interface HttpProxyServer {
  readonly port: number
  output(): string
  stop(): Promise<void>
  kill9(): Promise<void>
}

type Start = (folder: string, wish: HttpProxyWish, port?: number) => Promise<HttpProxyServer>

/** Proxies as companies have them, by name: what each needs, how it starts, and what it says of a server that is not there. */
export const httpProxies: readonly (readonly [name: string, needs: readonly Need[], start: Start, noWay: number])[] = [
  ['mod_proxy_connect of Apache', ['apache2', 'mod_proxy_connect', 'openssl'], startApacheProxy, 503],
  ['tinyproxy', ['tinyproxy'], startTinyproxy, 500],
]

async function startApacheProxy(
  folder: string,
  { logIn, refuse = [] }: HttpProxyWish,
  port?: number,
): Promise<HttpProxyServer> {
  const users = join(folder, 'proxy-users')
  if (logIn) {
    const hash = execFileSync('openssl', ['passwd', '-apr1', '-stdin'], { input: logIn.password, encoding: 'utf8' })
    writeFileSync(users, `${logIn.user}:${hash}`, { mode: 0o644 })
  }
  const modules = ['proxy', 'proxy_connect', 'auth_basic', 'authn_file', 'authz_host']
  const lines = [
    'ProxyRequests On',
    'AllowCONNECT 1-65535',
    ...refuse.map(host => `ProxyBlock ${host}`),
    '<Proxy "*">',
    ...(logIn
      ? ['  AuthType Basic', '  AuthName contoso', `  AuthUserFile "${users}"`, '  Require valid-user']
      : ['  Require local']),
    '</Proxy>',
  ]
  return startApache(folder, modules, () => lines.join('\n'), port)
}
