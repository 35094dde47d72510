import { defineErrors } from '../kernel/error.ts'

export const httpErrors = defineErrors('HTTP', {
  REFUSED: {
    side: 'receiver',
    retry: 'never',
    means: '{server} refused the request with {status}: {text}',
    next: 'Read the answer: the message, or what the flow makes of it, does not suit the other side. Correct, then replay.',
  },
  LOGIN_REFUSED: {
    side: 'receiver',
    retry: 'after-change',
    means: '{server} does not accept the log-in of this hub (401): {text}',
    next: 'Check Credentials > {credential}, and that the other side knows this user or application.',
  },
  FORBIDDEN: {
    side: 'receiver',
    retry: 'after-change',
    means: '{server} knows this hub but does not let it do this (403): {text}',
    next: 'Have the missing right given to the user or application of {credential} at the other side.',
  },
  BUSY: {
    side: 'receiver',
    retry: 'soon',
    means: '{server} asks to come back later ({status}): {text}',
    next: 'Nothing; the hub waits as long as it was asked to.',
  },
  SERVER_FAILED: {
    side: 'receiver',
    retry: 'soon',
    means: '{server} failed with {status}: {text}',
    next: 'Nothing, the hub tries again; if it goes on, look into the log of the other side.',
  },
  OUTCOME_UNKNOWN: {
    side: 'receiver',
    retry: 'never',
    isOutcomeUnknown: true,
    means: 'Whether {server} took the message is not known: {reason}.',
    next: 'Look for it at the other side, then skip or replay it here. An idempotency-key or on-unknown: send-again avoids this.',
  },
  REDIRECTED: {
    side: 'receiver',
    retry: 'after-change',
    means: '{server} answered with {status} and sends the hub to {location}.',
    next: 'Use the new address as url, or allow redirects (they keep the body with 307 and 308 only).',
  },
  URL_REFUSED: {
    side: 'flow',
    retry: 'never',
    means: 'The url that this message makes is not one to call: {reason}.',
    next: 'Look at the parts of the url that come from the message, and at the message itself.',
  },
  HEADER_REFUSED: {
    side: 'flow',
    retry: 'never',
    means: 'The header {header} that this message makes cannot be sent: {reason}.',
    next: 'Look at the template of the header and at the part of the message it uses.',
  },
  ANSWER_TOO_LARGE: {
    side: 'receiver',
    retry: 'never',
    means: 'The answer of {server} is larger than {bytesMax} bytes. The request itself was taken.',
    next: 'Raise max-answer of the receiver, or ask for less.',
  },
  CREDENTIAL_UNFIT: {
    side: 'flow',
    retry: 'after-change',
    means: 'The credential {credential} is of kind {kind}, which cannot be used as {use}.',
    next: 'Name another credential in the flow; auth-header goes with credentials of kind secret.',
  },
  CA_UNREADABLE: {
    side: 'flow',
    retry: 'after-change',
    means: 'The certificate file {file} cannot be used: {reason}.',
    next: 'Put a PEM file of the authority there; the path is relative to the flow document.',
  },
})
