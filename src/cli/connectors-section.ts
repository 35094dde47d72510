import { z } from 'zod'
import type { ConnectorListen } from '../connector/hub/connectors.ts'
import { port } from '../kernel/schema.ts'

export const hostPort = z
  .string()
  .regex(/^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\]):\d{1,5}$/, 'write host:port')
  .refine(text => port.safeParse(Number(text.slice(text.lastIndexOf(':') + 1))).success, 'a port is 1 to 65535')

const everyAddress = new Set(['0.0.0.0', '::'])

/** `connectors` in isthmus.yaml. */
export const connectorsSection = z
  .strictObject({
    host: z
      .string()
      .min(1)
      .default('127.0.0.1')
      .meta({ description: 'Address to listen on; 0.0.0.0 and :: are all of this machine.' }),
    port: port.or(z.literal(0)).default(8443),
    address: hostPort.optional().meta({
      description: 'host:port that connectors dial, where it is another than host and port.',
      examples: ['hub.contoso.com:8443'],
    }),
    nodes: z.array(hostPort).min(1).max(64).optional().meta({
      description: 'host:port of every node, where the hub has several; each connector keeps tunnels to all.',
    }),
  })
  .refine(({ host, address, nodes }) => !everyAddress.has(host) || address !== undefined || nodes !== undefined, {
    path: ['address'],
    message: 'name the host:port that connectors dial',
  })
  .refine(({ address, nodes }) => address === undefined || nodes === undefined || nodes.includes(address), {
    path: ['nodes'],
    message: 'the address of this node must be one of the nodes',
  })
  .optional()
  .meta({
    description:
      'Where connectors of on-premise networks come in (TLS, by the authority of the hub). Left out: none do.',
  })

/** What the hub needs of it; undefined where it takes no connectors. */
export function connectorListen(section: z.output<typeof connectorsSection>): ConnectorListen | undefined {
  if (!section) return undefined
  const { host, port, address, nodes } = section
  return { host, port, nodes: nodes ?? (address === undefined ? [] : [address]) }
}
