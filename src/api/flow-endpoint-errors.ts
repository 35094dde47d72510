import { defineErrors } from '../kernel/error.ts'

export const flowEndpointErrors = defineErrors('ENDPOINT', {
  PATH_TAKEN: {
    side: 'flow',
    retry: 'after-change',
    means: 'The path {path} is served by flow {other} already.',
    next: 'Give the sender of one of the two flows another path, or stop flow {other}: this one is then served by itself.',
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
  CALLER_LEFT: {
    side: 'caller',
    retry: 'soon',
    means: 'The caller left after {bytes} bytes, before the end of the body.',
    next: 'Nothing was taken in; the caller sends the whole request again. If it happens often, look at its timeouts.',
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
  ROLE_REFUSED: {
    side: 'caller',
    retry: 'after-change',
    means: 'This endpoint needs role {role}, and this hub cannot tell yet who has it.',
    next: 'Take the role out of the sender and call the endpoint from the machine of the hub.',
  },
})
