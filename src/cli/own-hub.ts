import { readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { parse } from 'yaml'
import { z } from 'zod'
import type { CliIo } from './io.ts'

export const defaultUrl = 'http://127.0.0.1:8080'

/** Where the hub of this machine is asked. */
export interface OwnHub {
  readonly url: string
  /** File with its admin token. */
  readonly tokenFile: string
}

/** All of it may be missing or wrong: a mistake in the file must not keep anybody from asking a hub that runs. */
const part = z.object({
  data: z.string().catch('data'),
  admin: z
    .object({ host: z.string().catch('127.0.0.1'), port: z.int().positive().catch(8080) })
    .catch({ host: '127.0.0.1', port: 8080 }),
})

/** As its isthmus.yaml says, the one that ISTHMUS_CONFIG names or that of this folder; as usual where there is none. */
export function ownHub({ env, cwd }: Pick<CliIo, 'env' | 'cwd'>): OwnHub {
  const file = resolve(cwd, env.ISTHMUS_CONFIG || 'isthmus.yaml')
  const config = part.safeParse(readYaml(file))
  if (!config.success) return { url: defaultUrl, tokenFile: resolve(cwd, 'data/admin.token') }
  const { admin, data } = config.data
  // What listens on all addresses of the machine is asked at its own.
  const host = ['0.0.0.0', '::'].includes(admin.host) ? '127.0.0.1' : admin.host
  const name = host.includes(':') ? `[${host}]` : host
  return { url: `http://${name}:${admin.port}`, tokenFile: join(resolve(dirname(file), data), 'admin.token') }
}

function readYaml(file: string): unknown {
  try {
    return parse(readFileSync(file, 'utf8')) as unknown
  } catch {
    return undefined
  }
}
