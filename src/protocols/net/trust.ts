import tls from 'node:tls'

/** For the whole process: sign-in servers, mail servers, webhooks and the database alike. PEM texts. */
export function trustAuthorities(pems: readonly string[]): void {
  if (pems.length > 0) tls.setDefaultCACertificates([...tls.getCACertificates('default'), ...pems])
}
