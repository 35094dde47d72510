import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { startHub } from '../../src/main.ts'
import { makeTwinCertificate } from '../../src/twins/certificate.ts'
import { startProcess } from '../../test/foreign/servers/server-process.ts'
import { freePorts, isListening, waitFor } from '../../test/foreign/servers/wait.ts'
import { ConnectorUnderTest } from '../../test/hub/connector-process.ts'
import type { Open } from './work.ts'

export type ContestantName = 'isthmus' | 'ssh' | 'stunnel'

export interface Contestant {
  readonly name: ContestantName
  readonly open: Open
  /** The side on premise. */
  readonly pid: number
  stop(): Promise<void>
}

export interface Way {
  /** Holds keys, certificates and configuration. */
  readonly folder: string
  readonly targetPort: number
  /** A line between the two networks: the port to dial instead of this one. */
  line(port: number): Promise<number>
}

const startMs = 20_000
const streamsMax = 4000

/** The hub in this process, as the flows of a hub are in its process; the connector in one of its own. */
export async function startIsthmus({ folder, targetPort, line }: Way): Promise<Contestant> {
  const hub = await startHub({
    dataFolder: join(folder, 'hub'),
    stage: 'bench',
    flowFiles: [],
    admin: { host: '127.0.0.1', port: 0 },
    endpoints: { host: '127.0.0.1', port: 0 },
    connectors: { host: '127.0.0.1', port: 0, nodes: [] },
    log: { level: 'error', format: 'json', output: process.stderr },
  })
  const { connectors, connectorsAddress = '' } = hub
  if (!connectors) throw new Error('the hub takes no connectors')
  const dialled = await line(Number(connectorsAddress.split(':')[1]))
  const connector = new ConnectorUnderTest(join(folder, 'connector'), {
    hub: { nodes: [`127.0.0.1:${dialled}`] },
    log: { format: 'json', level: 'error' },
    'virtual-hosts': {
      'target.virtual:80': {
        protocol: 'tcp',
        'streams-max': streamsMax,
        targets: [{ address: `127.0.0.1:${targetPort}`, 'connections-max': streamsMax }],
      },
    },
  })
  const { text } = await connectors.makeToken('bench', undefined)
  const enrolled = await connector.enrol(connectorsAddress, text, 'bench')
  if (enrolled.code !== 0) throw new Error(enrolled.output)
  connector.start()
  await waitFor('the connector', startMs, () => connectors.list().some(({ tunnels }) => tunnels.length === 2))
  return {
    name: 'isthmus',
    pid: connector.pid,
    open: () => connectors.tunnel({ via: 'bench', host: 'target.virtual', port: 80, timeoutMs: 30_000 }),
    async stop() {
      await connector.stop()
      await hub.close()
    },
  }
}

/** `ssh -R`: an sshd at the side of the hub, and a client on premise that has it listen. */
export async function startSsh({ folder, targetPort, line }: Way): Promise<Contestant> {
  const own = join(folder, 'ssh')
  mkdirSync(own, { recursive: true })
  for (const name of ['host', 'user']) {
    if (!existsSync(join(own, name)))
      execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(own, name)])
  }
  copyFileSync(join(own, 'user.pub'), join(own, 'authorized'))
  const [sshdPort = 0, port = 0] = await freePorts(2)
  const lines = [
    `ListenAddress 127.0.0.1:${sshdPort}`,
    `HostKey ${join(own, 'host')}`,
    `AuthorizedKeysFile ${join(own, 'authorized')}`,
    `PidFile none`,
    'StrictModes no',
    'UsePAM no',
    'PasswordAuthentication no',
    'PermitRootLogin prohibit-password',
    'MaxSessions 5000',
  ]
  writeFileSync(join(own, 'sshd_config'), `${lines.join('\n')}\n`)
  // Where sshd keeps its unprivileged half; a machine that never ran it has none.
  mkdirSync('/run/sshd', { recursive: true, mode: 0o755 })
  const server = startProcess('/usr/sbin/sshd', ['-D', '-e', '-f', join(own, 'sshd_config')])
  await waitFor('sshd', startMs, () => isListening(sshdPort))
  const settings = ['StrictHostKeyChecking=no', `UserKnownHostsFile=${join(own, 'known')}`, 'ExitOnForwardFailure=yes']
  const options = settings.flatMap(setting => ['-o', setting])
  // The fastest cipher that both sides have.
  options.push('-N', '-F', 'none', '-c', 'aes128-gcm@openssh.com', '-i', join(own, 'user'))
  options.push('-p', String(await line(sshdPort)), '-R', `127.0.0.1:${port}:127.0.0.1:${targetPort}`)
  const client = startProcess('ssh', [...options, `${userInfo().username}@127.0.0.1`])
  await waitFor('ssh -R', startMs, () => {
    if (!client.isRunning()) throw new Error(`${client.output()}\n${server.output()}`)
    return isListening(port)
  })
  return {
    name: 'ssh',
    pid: client.pid,
    open: () => openTcp(port),
    async stop() {
      await client.stop()
      await server.stop()
    },
  }
}

/** stunnel at both sides: a TLS connection for each connection. */
export async function startStunnel({ folder, targetPort, line }: Way): Promise<Contestant> {
  const own = join(folder, 'stunnel')
  mkdirSync(own, { recursive: true })
  const { cert, key, ca } = await makeTwinCertificate()
  writeFileSync(join(own, 'both.pem'), `${key}\n${cert}\n`, { mode: 0o600 })
  writeFileSync(join(own, 'ca.pem'), ca)
  const [premisePort = 0, port = 0] = await freePorts(2)
  const common = ['foreground = yes', 'pid =', 'debug = err', 'socket = l:TCP_NODELAY=1', 'socket = r:TCP_NODELAY=1']
  const start = (name: string, lines: readonly string[]) => {
    const file = join(own, `${name}.conf`)
    writeFileSync(file, `${[...common, `[${name}]`, ...lines].join('\n')}\n`)
    return startProcess('stunnel', [file])
  }
  const premise = start('premise', [
    `accept = 127.0.0.1:${premisePort}`,
    `connect = 127.0.0.1:${targetPort}`,
    `cert = ${join(own, 'both.pem')}`,
  ])
  await waitFor('stunnel on premise', startMs, () => isListening(premisePort))
  const hubSide = start('hub', [
    'client = yes',
    `accept = 127.0.0.1:${port}`,
    `connect = 127.0.0.1:${await line(premisePort)}`,
    `CAfile = ${join(own, 'ca.pem')}`,
    'verifyChain = yes',
    'checkIP = 127.0.0.1',
  ])
  await waitFor('stunnel at the hub', startMs, () => {
    if (!hubSide.isRunning() || !premise.isRunning()) throw new Error(`${hubSide.output()}\n${premise.output()}`)
    return isListening(port)
  })
  return {
    name: 'stunnel',
    pid: premise.pid,
    open: () => openTcp(port),
    async stop() {
      await hubSide.stop()
      await premise.stop()
    },
  }
}

function openTcp(port: number): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      socket.on('error', () => {})
      resolve(socket)
    })
  })
}
