import { defineErrors, HubError } from '../../kernel/error.ts'
import { explainTlsFailure } from './tls-failure.ts'

export const netErrors = defineErrors('NET', {
  NAME_UNKNOWN: {
    side: 'receiver',
    retry: 'soon',
    means: 'The name {host} is not known to the name servers ({reason}).',
    next: 'Check the spelling of the host and the name servers of this machine; a name of the on-premise network needs via.',
  },
  CONNECT_REFUSED: {
    side: 'receiver',
    retry: 'soon',
    means: 'Nothing takes connections at {host}:{port} ({reason}).',
    next: 'Check that the server runs, that the port is right and that no firewall refuses this machine.',
  },
  CONNECT_TIMEOUT: {
    side: 'receiver',
    retry: 'soon',
    means: 'No connection to {host}:{port} within {timeoutMs} ms.',
    next: 'Check the route and the firewalls between this machine and the server; a slow line needs a longer timeout.',
  },
  TLS_FAILED: {
    side: 'receiver',
    retry: 'after-change',
    means: 'The TLS connection to {host}:{port} could not be trusted or agreed: {reason}.',
    next: '{step}',
  },
  CONNECTION_LOST: {
    side: 'receiver',
    retry: 'soon',
    means: 'The connection to {host}:{port} was lost ({reason}).',
    next: 'Nothing, the hub connects again; if it goes on, look at the log of the server and at firewalls between.',
  },
  MACHINE_EXHAUSTED: {
    side: 'hub',
    retry: 'soon',
    means: 'This machine has nothing left for one more connection to {host}:{port} ({reason}).',
    next: 'EMFILE: raise the open files of the service (LimitNOFILE, docs/guides/production.md; isthmus_process_open_fds tells how many there are); else see what uses up the files or the memory of the machine. The hub tries again by itself.',
  },
  NO_CONNECTOR: {
    side: 'hub',
    retry: 'after-change',
    means: 'There is no on-premise connector for location {via}, so {host}:{port} cannot be reached.',
    next: 'Start a connector for that location, correct via in the flow, or leave via out to connect from this machine.',
  },
  PROXY_UNREACHABLE: {
    side: 'hub',
    retry: 'soon',
    means: 'The proxy {proxy} does not answer: {reason}.',
    next: 'Check its host and port ({setting}), that it runs, and that this machine may reach it.',
  },
  PROXY_TIMEOUT: {
    side: 'hub',
    retry: 'soon',
    means: 'The proxy {proxy} did not open the way to {host}:{port} within {timeoutMs} ms.',
    next: 'It may be overloaded, or trying to reach the server: ask whoever runs it what its log says of {host}:{port}.',
  },
  PROXY_REFUSED: {
    side: 'hub',
    retry: 'after-change',
    means: 'The proxy {proxy} does not let this machine through to {host}:{port} ({status}).',
    next: 'Have it allow CONNECT to {host}:{port} from this machine; check that its host and port are right ({setting}).',
  },
  PROXY_SIGN_IN: {
    side: 'hub',
    retry: 'after-change',
    means: 'The proxy {proxy} {reason} ({status}).',
    next: '{step}',
  },
  PROXY_CREDENTIAL: {
    side: 'hub',
    retry: 'after-change',
    means: 'The proxy {proxy} is shown a credential of the kind basic; {credential} is of the kind {kind}.',
    next: 'Name a credential with user and password under outgoing-proxy.auth in isthmus.yaml.',
  },
  PROXY_NO_WAY: {
    side: 'receiver',
    retry: 'soon',
    means: 'The proxy {proxy} cannot reach {host}:{port} ({status}).',
    next: 'Check host and port and that the server runs; then have the name servers and firewalls of the proxy looked at.',
  },
  PROXY_ANSWER_ODD: {
    side: 'hub',
    retry: 'soon',
    means: 'What answers at {proxy} is no HTTP proxy: {reason}.',
    next: 'Check that host and port are those of the proxy ({setting}).',
  },
  ADDRESS_FORBIDDEN: {
    side: 'flow',
    retry: 'never',
    means: 'The message chose {host}, which is at {address}: {reason}.',
    next: 'If the hub may call it, name it in the allow list of the receiver; otherwise find out who sent this message.',
  },
  ANSWER_TOO_LARGE: {
    side: 'receiver',
    retry: 'never',
    means: 'The answer of {host} is larger than {bytesMax} bytes.',
    next: 'Check that the address is the right one; a larger answer needs a larger limit.',
  },
})

/** Where a connection goes, as errors name it. */
export interface Target {
  readonly host: string
  readonly port: number
}

/** Any failure of a socket as a NET error that names the target; a HubError stays what it is. */
export function asNetError(thrown: unknown, target: Target): HubError {
  if (thrown instanceof HubError) return thrown
  const { host, port } = target
  const code = codeOf(thrown)
  const options = { cause: thrown }
  const tls = explainTlsFailure(thrown, host)
  if (tls) return netErrors.TLS_FAILED({ host, port, ...tls }, options)
  if (nameCodes.has(code)) return netErrors.NAME_UNKNOWN({ host, reason: code }, options)
  if (unreachableCodes.has(code)) return netErrors.CONNECT_REFUSED({ host, port, reason: code }, options)
  if (exhaustedCodes.has(code)) return netErrors.MACHINE_EXHAUSTED({ host, port, reason: code }, options)
  const text = thrown instanceof Error ? thrown.message : String(thrown)
  return netErrors.CONNECTION_LOST({ host, port, reason: code || text }, options)
}

const nameCodes = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_NODATA', 'EAI_NONAME', 'ENODATA', 'ESERVFAIL'])
const unreachableCodes = new Set(['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL', 'EACCES', 'EPERM'])
/** Of this machine, before a byte left it. */
const exhaustedCodes = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM'])

function codeOf(thrown: unknown): string {
  if (typeof thrown !== 'object' || thrown === null) return ''
  // All addresses of a name failed (happy eyeballs): the first failure speaks for them.
  if (thrown instanceof AggregateError && !('code' in thrown)) return codeOf(thrown.errors[0])
  return 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : ''
}
