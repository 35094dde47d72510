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
  return status === 502 || status === 503 || status === 504
}

/**
 * Why nobody knows whether the server behind a gateway did what it was asked; undefined for an answer that leaves no doubt.
 * A 502 may mean that no connection could be made, and as well that it broke after the request, or that the server did its
 * work and said nothing (a workflow of Azure Logic Apps without its Response action): RFC 9110 section 15.6.3.
 */
export function gatewayDoubt(status: number): string | undefined {
  if (status === 504) return 'a gateway has waited for its answer in vain (504)'
  return status === 502 ? 'a gateway got no valid answer from it (502)' : undefined
}
