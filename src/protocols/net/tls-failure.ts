/** Why a TLS handshake failed, in words, and what a person does about it; undefined when it is no matter of TLS. */
export function explainTlsFailure(thrown: unknown, host: string): { reason: string; step: string } | undefined {
  if (!(thrown instanceof Error)) return undefined
  const code = 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : ''
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH') {
    return {
      reason: `its certificate is for another name (${namesIn(thrown)})`,
      step: `Use the name in the certificate as host, or have the server's certificate issued for ${host}.`,
    }
  }
  const known = reasons[code]
  if (known) return known
  const refused = certificateRefusal(thrown)
  if (refused !== undefined) {
    return { reason: `it does not take the client certificate of this hub: ${refused}`, step: wantsCertificate.step }
  }
  return /^ERR_(SSL|TLS|OSSL)_|^CERT_|^EPROTO$/.test(code)
    ? {
        reason: `${thrown.message.replace(/^[0-9A-F]+:error:/, '').trim()} (${code})`,
        step: 'Compare the TLS versions and certificates of the server with what the hub offers (TLS 1.2 and 1.3).',
      }
    : undefined
}

/** The TLS alert that an error tells (RFC 8446 section 6), like UNKNOWN_CA; undefined for any other failure. */
export function tlsAlertIn(thrown: unknown): string | undefined {
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : ''
  // OpenSSL names an alert after the version that brought it; since 3.2 those of SSL 3 begin with SSL/TLS.
  return /^ERR_SSL_(?:TLSV1_|TLSV13_|SSLV3_|SSL\/TLS_)ALERT_(.*)$/.exec(code)?.[1]
}

/** What a server says of the certificate that the hub shows, or does not show; undefined when it speaks of no such thing. */
export function certificateRefusal(thrown: unknown): string | undefined {
  return certificateAlerts[tlsAlertIn(thrown) ?? '']
}

type Explanation = { readonly reason: string; readonly step: string }

const unknownIssuer: Explanation = {
  reason: 'its certificate was issued by an authority that this hub does not know',
  step: "Name the authority's certificate (ca), or let the server send its whole chain of certificates.",
}
const selfSigned: Explanation = {
  reason: 'its certificate is self-signed',
  step: 'If the server is the right one, name its certificate (ca); otherwise have a certificate issued for it.',
}
const noCommonVersion: Explanation = {
  reason: 'it speaks no TLS version that this hub takes (1.2 or 1.3)',
  step: 'Switch TLS 1.2 or 1.3 on at the server; older versions are broken.',
}
const wantsCertificate: Explanation = {
  reason: 'it wants a client certificate that it trusts',
  step: "Give the hub a client certificate for this server, issued by an authority on the server's list.",
}
const noTls: Explanation = {
  reason: 'it does not speak TLS on this port',
  step: 'Use the port that speaks TLS from the first byte, or STARTTLS where the protocol has it.',
}

const reasons: Readonly<Record<string, Explanation>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: selfSigned,
  SELF_SIGNED_CERT_IN_CHAIN: unknownIssuer,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unknownIssuer,
  UNABLE_TO_GET_ISSUER_CERT: unknownIssuer,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unknownIssuer,
  CERT_HAS_EXPIRED: {
    reason: 'its certificate has expired',
    step: "Renew the server's certificate, and check the clock of this machine.",
  },
  CERT_NOT_YET_VALID: {
    reason: 'its certificate is not valid yet',
    step: 'Check the clock of this machine and the validity of the certificate.',
  },
  CERT_REVOKED: { reason: 'its certificate is revoked', step: 'Have a new certificate issued for the server.' },
  CERT_SIGNATURE_FAILURE: {
    reason: 'the signature of its certificate is wrong',
    step: 'The certificate named as ca is not the one that issued it, or somebody sits between: compare fingerprints.',
  },
  ERR_SSL_WRONG_VERSION_NUMBER: noTls,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: noTls,
  ERR_SSL_HTTP_REQUEST: noTls,
  ERR_SSL_UNSUPPORTED_PROTOCOL: noCommonVersion,
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: noCommonVersion,
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: wantsCertificate,
}

/** RFC 8446 section 6.2. */
const certificateAlerts: Readonly<Record<string, string>> = {
  BAD_CERTIFICATE: 'it calls it broken',
  UNSUPPORTED_CERTIFICATE: 'it takes none of this kind',
  CERTIFICATE_REVOKED: 'it was revoked',
  CERTIFICATE_EXPIRED: 'it has ended, by the clock there',
  CERTIFICATE_UNKNOWN: 'it is not known there',
  UNKNOWN_CA: 'it was issued by an authority that it does not know',
  ACCESS_DENIED: 'whoever has it may not come in',
  DECRYPT_ERROR: 'a signature does not hold, that of its authority or that of its key',
  CERTIFICATE_REQUIRED: 'it saw none',
}

function namesIn(error: Error): string {
  const certificate = 'cert' in error ? error.cert : undefined
  if (typeof certificate !== 'object' || certificate === null) return 'unknown'
  const names = 'subjectaltname' in certificate ? certificate.subjectaltname : undefined
  return typeof names === 'string' && names !== '' ? names.replaceAll('DNS:', '') : 'no names at all'
}
