import { hostname } from 'node:os'
import { resolve } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { hostPort } from '../../connector/agent/connector-config.ts'
import { enrol } from '../../connector/agent/enrolment.ts'
import { proxyAt, readConnectorConfig } from '../../connector/agent/read-config.ts'
import { readSecret, readText } from '../input.ts'
import { facts } from '../print.ts'
import type { ConnectorCli } from './run.ts'

interface EnrolCommandOptions {
  readonly hub: string
  readonly tokenFile?: string
  readonly name: string
  readonly config: string
  readonly data?: string
  readonly again?: boolean
  readonly proxy?: string
}

/** enrol: the token comes from a file or standard input, never as an argument that everybody on the machine can see. */
export function enrolCommand(program: Command, cli: ConnectorCli): void {
  program
    .command('enrol')
    .description('gets a certificate from the hub with the one-time token of isthmus connector enrol')
    .requiredOption('--hub <host:port>', 'where the hub takes connectors', readNode)
    .option('--token-file <file>', 'file with the token; left out, or -: standard input')
    .addOption(
      new Option('--name <name>', 'what people call this connector').default(hostname(), 'name of the machine'),
    )
    .option('--config <file>', 'connector.yaml; says where the data folder is', 'connector.yaml')
    .option('--data <folder>', 'data folder, where there is no connector.yaml yet')
    .option('--proxy <host:port>', 'HTTP proxy that leads out, in the place of hub.proxy in connector.yaml', readNode)
    .option('--again', 'replace the certificate that is there')
    .action(async (options: EnrolCommandOptions, command: Command) => {
      const { io } = cli
      const file = resolve(io.cwd, options.config)
      const config = options.data === undefined ? (await readConnectorConfig(file)).config : undefined
      const dataFolder = config?.dataFolder ?? resolve(io.cwd, options.data ?? '')
      const proxy =
        options.proxy === undefined
          ? config?.hub.proxy
          : proxyAt(options.proxy, undefined, 'hub.proxy in connector.yaml, or --proxy')
      const identity = await enrol({
        node: options.hub,
        token: await (options.tokenFile === undefined ? readSecret('token', io) : readText(options.tokenFile, io)),
        name: options.name,
        dataFolder,
        isAgain: options.again === true,
        proxy,
        signal: io.signal,
      })
      const { connector, location, name, nodes, endsAt } = identity
      const result = { connector, location, name, nodes, certificateEndsAt: new Date(endsAt).toISOString() }
      cli.show(
        command,
        result,
        () =>
          `${facts([
            ['Connector', connector],
            ['Location', location],
            ['Name', name],
            ['Hub', nodes.join(' ')],
            ['Certificate', `until ${result.certificateEndsAt}, renewed by itself`],
          ])}Next: ${proxy && !config?.hub.proxy ? 'name the proxy under hub.proxy in connector.yaml, then ' : ''}isthmus-connector run\n`,
      )
    })
}

function readNode(text: string): string {
  if (hostPort.safeParse(text).success) return text
  throw new InvalidArgumentError('It takes host and port, for example hub.contoso.com:8443.')
}
