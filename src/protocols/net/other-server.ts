/** With this header a connector tells, beside an answer of 502, 503 or 504, that it knows another server that may take it. */
export const otherServerHeader = 'isthmus-other-server'

/** Servers that are asked for one request whose doing twice does no harm. */
export const serversPerRequest = 3

/** True when the server was not able to, and the next connection may lead to one that is. */
export function mayOtherServer({
  status,
  headers,
}: {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
}): boolean {
  return isAway(status) && headers[otherServerHeader] !== undefined
}

/** What says of a server, or of what stands behind it, that it cannot answer now (RFC 9110 sections 15.6.3 to 15.6.5). */
export function isAway(status: number): boolean {
  return status === 502 || status === 503 || status === gatewayTimeout
}

/** The server behind a gateway has the request, and did not answer in time: nobody knows whether it did it. */
export const gatewayTimeout = 504
