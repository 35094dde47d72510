import { execFileSync } from 'node:child_process'
import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import type { PostgresAddress } from '../../../src/store/postgres/connection.ts'
import { makeCertificate } from './certificate.ts'
import { postgresqlPrograms } from './postgresql-programs.ts'
import { type ServerProcess, startProcess } from './server-process.ts'
import { freePorts, isListening, waitFor, withFreshPorts } from './wait.ts'
import { makeWorkFolder } from './work-folder.ts'

const startMs = 20_000
const startTries = 3
/** The server refuses to run as root. */
const asPostgres = ['--reuid=postgres', '--regid=postgres', '--init-groups', '--pdeathsig=INT', '--']
const database = 'isthmus'
const user = 'isthmus'
const password = 'pw'

export interface Postgresql {
  readonly port: number
  /** The certificate of 127.0.0.1 and localhost, its own authority (PEM). */
  readonly ca: string
  /** A schema of the database, in the clear; tables are made by who uses it first. */
  address(schema: string): PostgresAddress
  /** Runs statements as the owner of the database and gives the rows of the last one. */
  admin(sql: string, values?: readonly unknown[]): Promise<readonly Record<string, unknown>[]>
  /** The server and all its connections die at once, as in a power cut. */
  kill9(): Promise<void>
  /** Starts it again, on the same port and data. */
  restart(): Promise<void>
  stop(): Promise<void>
}

/** Starts a cluster of our own on a free port of 127.0.0.1; needs root. */
export async function startPostgresql(): Promise<Postgresql> {
  const folder = makeWorkFolder('pg')
  const data = join(folder.path, 'data')
  mkdirSync(data, { mode: 0o700 })
  const [uid, gid] = ['-u', '-g'].map(which => Number(execFileSync('id', [which, 'postgres'], { encoding: 'utf8' })))
  for (const path of [folder.path, data]) chownSync(path, uid ?? 0, gid ?? 0)
  makeCertificate(folder.path)
  writeFileSync(join(folder.path, 'password'), password)
  for (const file of ['key.pem', 'password']) chownSync(join(folder.path, file), uid ?? 0, gid ?? 0)
  const access = ['-U', user, '-A', 'scram-sha-256', `--pwfile=${join(folder.path, 'password')}`]
  const initdb = [`${postgresqlPrograms}/initdb`, '-D', data, ...access, '-E', 'UTF8', '--locale=C']
  execFileSync('setpriv', [...asPostgres, ...initdb, '--no-sync'], { cwd: '/', stdio: 'pipe' })

  let port = 0
  const start = async (): Promise<ServerProcess> => {
    const settings = [`port=${port}`, 'listen_addresses=127.0.0.1', `unix_socket_directories=${folder.path}`]
    const secured = ['ssl=on', ...['cert', 'key'].map(part => `ssl_${part}_file=${folder.path}/${part}.pem`)]
    const args = [...settings, ...secured, 'log_min_messages=warning'].flatMap(setting => ['-c', setting])
    const server = startProcess('setpriv', [...asPostgres, `${postgresqlPrograms}/postgres`, '-D', data, ...args])
    try {
      await waitFor('PostgreSQL to answer', startMs, async () => {
        if (!server.isRunning()) throw new Error('PostgreSQL ended at once.')
        return (await isListening(port)) && (await run('postgres', 'select 1').catch(() => undefined)) !== undefined
      })
      return server
    } catch (cause) {
      await server.kill9()
      throw new Error(`PostgreSQL did not start:\n${server.output()}`, { cause })
    }
  }
  const run = async (on: string, sql: string, values: readonly unknown[] = []) => {
    const client = new pg.Client({ host: '127.0.0.1', port, user, password, database: on })
    await client.connect()
    try {
      const results = await client.query(sql, [...values])
      return (Array.isArray(results) ? results.at(-1) : results).rows as readonly Record<string, unknown>[]
    } finally {
      await client.end()
    }
  }
  const end = async () => {
    // To its SIGTERM it would wait for every connection to end.
    if (server.isRunning()) process.kill(server.pid, 'SIGINT')
    await waitFor('PostgreSQL to stop', startMs, () => !server.isRunning()).catch(() => server.kill9())
  }

  let server: ServerProcess
  try {
    server = await withFreshPorts(startTries, async () => {
      port = (await freePorts(1))[0] ?? 0
      return start()
    })
    await run('postgres', `create database ${database}`)
  } catch (error) {
    folder.remove()
    throw error
  }
  return {
    port,
    ca: readFileSync(join(folder.path, 'cert.pem'), 'utf8'),
    address: schema => ({ host: '127.0.0.1', port, database, user, password, schema, tls: false }),
    admin: (sql, values) => run(database, sql, values),
    kill9: () => server.kill9(),
    async restart() {
      await end()
      // Processes of its connections die a moment later than itself, and hold its memory until then.
      server = await waitFor('the memory of PostgreSQL to be free', startMs, () =>
        start().catch((error: unknown) => {
          if (/shared memory block .* is still in use/.test(String(error))) return undefined
          throw error
        }),
      )
    },
    async stop() {
      await end()
      await server.stop()
      folder.remove()
    },
  }
}
