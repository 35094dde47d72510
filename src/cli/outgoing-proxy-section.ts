import { z } from 'zod'
import { credentialName } from '../kernel/schema.ts'
import { isHostEntry } from '../protocols/net/address.ts'
import type { OutgoingProxy } from '../protocols/net/outgoing-proxy.ts'
import { hostPort } from './connectors-section.ts'

/** `outgoing-proxy` in isthmus.yaml. */
export const outgoingProxySection = z
  .strictObject({
    address: hostPort.meta({ description: 'host:port of the proxy.', examples: ['proxy.contoso.com:8080'] }),
    auth: credentialName.optional().meta({
      description: 'Credential of kind basic that is shown to the proxy, where it wants one.',
      examples: ['proxy'],
    }),
    except: z
      .array(z.string().refine(isHostEntry, 'a host name, *.domain, an address or a network'))
      .default([])
      .meta({
        description:
          'Hosts that the hub reaches without it. Networks count for hosts that are written as addresses. This machine and what goes through a connector never need it.',
        examples: [['*.contoso.internal', '10.0.0.0/8']],
      }),
  })
  .optional()
  .meta({
    description:
      'HTTP proxy that leads out of the network of the hub, by CONNECT, for all that the hub connects to but its store. HTTPS_PROXY of the environment does not count.',
  })

/** What the hub needs of it. */
export function outgoingProxy(section: z.output<typeof outgoingProxySection>): OutgoingProxy | undefined {
  if (!section) return undefined
  const { address, auth, except } = section
  const colon = address.lastIndexOf(':')
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
  return { host, port: Number(address.slice(colon + 1)), auth, except }
}
