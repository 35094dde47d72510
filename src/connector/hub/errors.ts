import { defineErrors } from '../../kernel/error.ts'

/** What goes wrong on the way through a location. */
export const locationErrors = defineErrors('LOCATION', {
  NOT_CONNECTED: {
    side: 'receiver',
    retry: 'soon',
    means: 'No connector of location {via} is connected ({enrolled} enrolled, last seen {lastSeen}).',
    next: 'Look whether isthmus-connector runs there and what its log says; it dials out to the hub by itself.',
  },
  NOT_ALLOWED: {
    side: 'flow',
    retry: 'after-change',
    means: 'The connectors of location {via} do not list {host}:{port}: {reason}',
    next: 'Correct host and port in the flow, or have {host}:{port} added to virtual-hosts in connector.yaml over there.',
  },
  NO_TARGET: {
    side: 'receiver',
    retry: 'soon',
    means: 'No server behind {host}:{port} took the connection, says connector {connector} of {via}: {reason}',
    next: 'Look at the servers: isthmus connector check {via} {host}:{port} says what each of them answers.',
  },
  NONE_HEALTHY: {
    side: 'receiver',
    retry: 'soon',
    means:
      'Every server behind {host}:{port} is down, ejected or drained, says connector {connector} of {via}: {reason}',
    next: 'Look at the servers: isthmus connector check {via} {host}:{port} says what each of them answers.',
  },
  TOO_MANY_STREAMS: {
    side: 'receiver',
    retry: 'soon',
    isThrottling: true,
    means: 'Connector {connector} of {via} carries as many connections to {host}:{port} as it may: {reason}',
    next: 'Nothing; the hub tries again. If it stays so, raise the limit in connector.yaml.',
  },
  REFUSED: {
    side: 'receiver',
    retry: 'soon',
    means: 'Connector {connector} of {via} did not open {host}:{port}: {reason}',
    next: 'Look at the log of the connector; a connector that stops is replaced by another of its location.',
  },
  TUNNEL_LOST: {
    side: 'receiver',
    retry: 'soon',
    means: 'The tunnel to connector {connector} of {via} was lost while it carried {host}:{port} ({reason}).',
    next: 'Nothing, the hub tries again through another tunnel; if it goes on, look at the line between.',
  },
  STREAM_RESET: {
    side: 'receiver',
    retry: 'soon',
    means: 'The connection to {host}:{port} through {via} was lost ({reason}).',
    next: 'Nothing, the hub connects again; if it goes on, look at the log of the server behind {host}:{port}.',
  },
  CONNECTOR_UNKNOWN: {
    side: 'caller',
    retry: 'never',
    means: 'There is no connector {connector}.',
    next: 'List the connectors with isthmus connector list.',
  },
  CONNECTOR_SILENT: {
    side: 'receiver',
    retry: 'soon',
    means: 'Connector {connector} did not answer: {reason}.',
    next: 'Look at it with isthmus connector show {connector}, and at its own log.',
  },
  CONNECTOR_AWAY: {
    side: 'receiver',
    retry: 'soon',
    means: 'Connector {connector} is not connected to this node of the hub.',
    next: 'Start isthmus-connector over there; its log says why it does not come through.',
  },
  CONNECTOR_REFUSED: {
    side: 'caller',
    retry: 'never',
    means: 'Connector {connector} refused: {reason}',
    next: 'Take a virtual host and a target that isthmus connector hosts shows.',
  },
  LISTENER_OFF: {
    side: 'caller',
    retry: 'after-change',
    means: 'This hub takes no connectors, since its configuration does not name an address for them.',
    next: 'Write connectors with host, port and address into isthmus.yaml, and start the hub anew.',
  },
  LOCATION_INVALID: {
    side: 'caller',
    retry: 'never',
    means: '"{text}" cannot be the name of a location.',
    next: 'Use 1 to 63 lower-case letters, digits and hyphens, for example dc-frankfurt.',
  },
})

/** Why a connector gets no certificate, or may not come in with the one it has. */
export const enrolErrors = defineErrors('ENROL', {
  TOKEN_REFUSED: {
    side: 'caller',
    retry: 'never',
    means: 'This enrolment token is not known here.',
    next: 'Make a new one on the hub: isthmus connector enrol LOCATION. It works once, within 15 minutes.',
  },
  TOKEN_USED: {
    side: 'caller',
    retry: 'never',
    means: 'This enrolment token was used already, from {address}.',
    next: 'If that was not you, somebody has seen the token: revoke connector {connector} and make a new token.',
  },
  TOKEN_ENDED: {
    side: 'caller',
    retry: 'never',
    means: 'This enrolment token ended at {endsAt}.',
    next: 'Make a new one on the hub: isthmus connector enrol {location}. It works once, within 15 minutes.',
  },
  CERTIFICATE_REFUSED: {
    side: 'caller',
    retry: 'never',
    means: 'The certificate of this connector is not taken: {reason}',
    next: 'Enrol again with a new token: isthmus connector enrol LOCATION on the hub.',
  },
  IDENTITY_TWICE: {
    side: 'caller',
    retry: 'after-change',
    means: 'Connector {connector} runs twice: a second program, started later, is connected from {other}.',
    next: 'Stop one of them, or enrol it by itself there with a new token: isthmus-connector enrol --again.',
  },
  TOO_MANY_REQUESTS: {
    side: 'caller',
    retry: 'soon',
    means: 'Too many enrolments and renewals come from {address}.',
    next: 'Wait a minute, then try again.',
  },
  REQUEST_INVALID: {
    side: 'caller',
    retry: 'never',
    means: 'The request cannot be read: {reason}',
    next: 'Use isthmus-connector of a version that fits this hub.',
  },
})
