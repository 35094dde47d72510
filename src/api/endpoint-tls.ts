import { X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import type { Server } from 'node:http'
import { createSecureContext, type SecureContextOptions, type TlsOptions } from 'node:tls'
import { asHubError, defineErrors } from '../kernel/error.ts'
import type { Log } from '../kernel/log.ts'
import { type Clock, MINUTE } from '../kernel/time.ts'

export const endpointTlsErrors = defineErrors('ENDPOINTTLS', {
  UNREADABLE: {
    side: 'hub',
    retry: 'after-change',
    means: 'The certificate of the flow endpoints in {file} cannot be used: {text}',
    next: 'Name PEM files under endpoints.tls in isthmus.yaml: the certificate with its chain, and its key.',
  },
})

export interface EndpointTlsFiles {
  /** PEM, the chain after the certificate itself. */
  readonly certificate: string
  /** PEM */
  readonly key: string
}

/** The certificate of the flow endpoints, taken anew when its files change. */
export interface EndpointTls {
  serverOptions(): TlsOptions
  /** Gives the server each new certificate until `close`. */
  follow(server: Server): void
  /** The one that callers are shown now. */
  certificate(): { readonly file: string; readonly beganAt: number; readonly endsAt: number }
  close(): void
}

/** How often the files are looked at: a renewed certificate counts without a restart. */
const lookEveryMs = MINUTE

/** Reads the files; throws ENDPOINTTLS_UNREADABLE. */
export function openEndpointTls(files: EndpointTlsFiles, clock: Clock, log: Log): EndpointTls {
  let loaded = load(files)
  let cancel = () => {}

  function lookAgain(server: Server & { setSecureContext?: (options: SecureContextOptions) => void }): void {
    cancel = clock.after(lookEveryMs, () => {
      try {
        if (stampOf(files) !== loaded.stamp) {
          loaded = load(files)
          server.setSecureContext?.(loaded.context)
          log.info('endpoint.certificate-renewed', { file: files.certificate })
        }
      } catch (thrown) {
        // Half-written files, or wrong ones: the certificate that works stays, and the next look tries again.
        log.warn('endpoint.certificate-not-renewed', { file: files.certificate, text: asHubError(thrown).message })
      }
      lookAgain(server)
    })
  }

  return {
    serverOptions: () => ({
      ...loaded.context,
      // Asks every client for a certificate and takes any: who it belongs to, and whether it counts, is decided by the
      // service keys at each request. A list of authorities here would keep clients from sending self-signed ones.
      requestCert: true,
      rejectUnauthorized: false,
    }),
    follow: lookAgain,
    certificate: () => loaded.certificate,
    close: () => cancel(),
  }
}

function load({ certificate, key }: EndpointTlsFiles) {
  const stamp = stampOf({ certificate, key })
  const context = { cert: read(certificate), key: read(key), minVersion: 'TLSv1.2' as const }
  try {
    // Fails where key and certificate do not belong together.
    createSecureContext(context)
    const { validFromDate, validToDate } = new X509Certificate(context.cert)
    const [beganAt, endsAt] = [validFromDate.getTime(), validToDate.getTime()]
    return { stamp, context, certificate: { file: certificate, beganAt, endsAt } }
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause)
    throw endpointTlsErrors.UNREADABLE({ file: certificate, text }, { cause })
  }
}

function stampOf({ certificate, key }: EndpointTlsFiles): string {
  return [certificate, key]
    .map(file => {
      const { mtimeMs, size, ino } = statSync(file, { throwIfNoEntry: false }) ?? { mtimeMs: 0, size: 0, ino: 0 }
      return `${mtimeMs}/${size}/${ino}`
    })
    .join(' ')
}

function read(file: string): Buffer {
  try {
    return readFileSync(file)
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause)
    throw endpointTlsErrors.UNREADABLE({ file, text }, { cause })
  }
}
