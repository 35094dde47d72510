import { z } from 'zod'
import { cliErrors } from './cli-errors.ts'
import { readYaml } from './yaml-input.ts'

const text = z.string().min(1).optional().catch(undefined)

/** What a service key says of its client; the rest of it (addresses of services, scopes) is for programs. */
const clientOfKey = z.looseObject({
  clientid: z.string().min(1),
  clientsecret: text,
  certificate: text,
  key: text,
  /** The token endpoint itself: Cloud Integration, and hubs like this one. */
  tokenurl: text,
  /** The token server, here and behind: XSUAA. */
  url: text,
  /** Its other host, which asks for a client certificate. */
  certurl: text,
})

/** Tenants of SAP Cloud Identity Services have their token endpoint at another path than XSUAA. */
const identityHost = /\.accounts\d*\.(ondemand\.com|cloud\.sap)$/

/**
 * The settings of a credential for what a service key of SAP BTP (or of a hub like this one) opens: client credentials with
 * its secret, or with its certificate shown in the TLS handshake. Members of the client stand at the top, below `oauth`
 * (Cloud Integration), below `uaa` (services that have XSUAA beside them), and all of it below `credentials` as
 * `cf service-key` prints it. Throws CLI_INPUT_WRONG.
 */
export function readServiceKey(file: string, content: string): Record<string, unknown> {
  const parsed = clientOfKey.safeParse(clientPart(readYaml(file, withoutHeading(content))))
  if (!parsed.success) {
    throw cliErrors.INPUT_WRONG({
      file,
      what: 'a service key',
      text: 'no clientid at the top, below oauth or below uaa.',
    })
  }
  const { clientid, clientsecret, certificate, key, ...places } = parsed.data
  const isByCertificate = certificate !== undefined && clientsecret === undefined
  const tokenUrl = tokenUrlOf(places, isByCertificate)
  if (tokenUrl === undefined) {
    throw cliErrors.INPUT_WRONG({
      file,
      what: 'a service key',
      text: 'neither tokenurl nor url says where tokens are.',
    })
  }
  return {
    kind: 'oauth2-client-credentials',
    clientId: clientid,
    provider: { generic: { tokenUrl } },
    ...(isByCertificate
      ? { authentication: 'tls', certificate, ...(key !== undefined && { privateKey: key }) }
      : { ...(clientsecret !== undefined && { clientSecret: clientsecret }) }),
  }
}

/**
 * The secrets of a newer service key for a credential that has the settings of an older one. Throws CLI_ARGUMENT_WRONG when
 * they are not of the same client, or one holds a secret and the other a certificate: the settings would no longer fit.
 */
export function renewalFrom(newer: Record<string, unknown>, kept: unknown): Record<string, unknown> {
  const { clientId, authentication, clientSecret, certificate, privateKey } = newer
  const isOfTheSame =
    Object(kept).clientId === clientId && (Object(kept).authentication === 'tls') === (authentication === 'tls')
  if (!isOfTheSame) {
    const text = 'The service key is of another client, or proves it in another way. credential update takes it over.'
    throw cliErrors.ARGUMENT_WRONG({ text, command: 'credential' })
  }
  return { clientSecret, certificate, privateKey }
}

function tokenUrlOf(
  { tokenurl, url, certurl }: Pick<z.output<typeof clientOfKey>, 'tokenurl' | 'url' | 'certurl'>,
  isByCertificate: boolean,
): string | undefined {
  if (tokenurl !== undefined) return tokenurl
  const server = (isByCertificate ? certurl : undefined) ?? url
  if (server === undefined || !URL.canParse(server)) return undefined
  const path = identityHost.test(new URL(server).hostname) ? '/oauth2/token' : '/oauth/token'
  return server.replace(/\/+$/, '') + path
}

function clientPart(document: unknown): unknown {
  for (const name of ['credentials', 'oauth', 'uaa']) {
    const inner: unknown = Object(document)[name]
    if (typeof inner === 'object' && inner !== null) return clientPart(inner)
  }
  return document
}

/** `cf service-key` prints a sentence above the key; it becomes blank, so that lines and columns stay. */
function withoutHeading(content: string): string {
  const start = content.indexOf('{')
  return content.slice(0, Math.max(start, 0)).replace(/\S/g, ' ') + content.slice(Math.max(start, 0))
}
