import { defineErrors } from '../kernel/error.ts'

export const flowEndpointErrors = defineErrors('ENDPOINT', {
  PATH_TAKEN: {
    side: 'flow',
    retry: 'after-change',
    means: 'The path {path} is served by flow {other} already.',
    next: 'Give the sender of one of the two flows another path, or stop flow {other}: this one is then served by itself.',
  },
  PATH_UNLIKE: {
    side: 'flow',
    retry: 'after-change',
    means:
      'The path {path} is shared with flow {other}, which asks its callers for another role or takes another size.',
    next: 'Give the senders of both flows the same role and max-size, or one of them another path.',
  },
  PATH_UNKNOWN: {
    side: 'caller',
    retry: 'never',
    means: 'No flow that runs serves {path}.',
    next: 'Compare the path with the one in the flow document, and see whether the flow runs: isthmus flow list.',
  },
  METHOD_REFUSED: {
    side: 'caller',
    retry: 'never',
    means: '{path} takes {methods}, not {method}.',
    next: 'Call it with a method that it takes.',
  },
  CODED: {
    side: 'caller',
    retry: 'after-change',
    means: 'The body comes in the content coding {coding}, which this endpoint does not undo.',
    next: 'Send it as it is, without compression; or, to take it packed, name content-encoding under headers of an https sender and unpack it with a convert step.',
  },
  CALLER_LEFT: {
    side: 'caller',
    retry: 'soon',
    means: 'The caller left after {bytes} bytes, before the end of the body.',
    next: 'Nothing was taken in; the caller sends the whole request again. If it happens often, look at its timeouts.',
  },
  HEADERS_TOO_LARGE: {
    side: 'caller',
    retry: 'never',
    means:
      'The headers are too large: with the request line more than {bytesMax} bytes, or more than a thousand of them.',
    next: 'Send a shorter address or token (one with fewer roles), and what is long in the body.',
  },
  TOO_SLOW: {
    side: 'caller',
    retry: 'soon',
    means: 'The request did not come to its end in time.',
    next: 'Nothing was taken in; the caller sends the whole request again. If it happens often, look at the line and the proxies between.',
  },
  NOT_LOOPBACK: {
    side: 'caller',
    retry: 'after-change',
    means: 'This endpoint asks for no role, so it answers callers on the machine of the hub only.',
    next: 'Call it from there and without a proxy, or name a role in the sender of the flow.',
  },
  CROSS_SITE: {
    side: 'caller',
    retry: 'never',
    means: 'A page of another site sent this request from a browser on the machine of the hub.',
    next: 'Find out which page it was; programs that call the endpoint directly are let in.',
  },
  UNAUTHORISED: {
    side: 'caller',
    retry: 'after-change',
    means: 'This endpoint asks who calls, and the request does not prove it.',
    next: 'Send client id and secret (Basic), a token (Bearer) or a client certificate. Whoever runs the hub finds the reason under {correlation}.',
  },
  FORBIDDEN: {
    side: 'caller',
    retry: 'after-change',
    means: 'The caller may not use this endpoint.',
    next: 'Ask whoever runs the hub for it, and name {correlation}.',
  },
  TOO_MANY_FAILURES: {
    side: 'caller',
    retry: 'soon',
    means: 'Too many calls without a right credential came from this address.',
    next: 'Wait {wait}, then call with the right one. Whoever runs the hub finds the reason under {correlation}.',
  },
  PLAIN_HTTP: {
    side: 'caller',
    retry: 'after-change',
    means: 'Credentials are taken over HTTPS only; this request came over plain HTTP from another machine.',
    next: 'Replace the credential, since others may have read it. Then call over https: isthmus.yaml names a certificate under endpoints.tls, or a proxy.',
  },
  ROLE_UNKNOWN: {
    side: 'flow',
    retry: 'after-change',
    means: 'Flow {flow} asks its callers for role {role}, which does not exist, so nobody could call it.',
    next: 'Create it (isthmus role create {role}) or correct the name in the sender, then start the flow again.',
  },
  NO_GUARD: {
    side: 'hub',
    retry: 'after-change',
    means: 'The endpoint asks for role {role}, and nothing here can tell who has it.',
    next: 'Start the hub with service users.',
  },
})
