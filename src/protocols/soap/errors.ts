import { defineErrors } from '../../kernel/error.ts'

export const soapMessageErrors = defineErrors('SOAPMESSAGE', {
  SHAPE: {
    side: 'sender',
    retry: 'never',
    means: 'The content is no SOAP message: {text}.',
    next: 'Send an envelope of SOAP 1.1 (text/xml) or 1.2 (application/soap+xml) with one element in its body.',
  },
  NOT_UNDERSTOOD: {
    side: 'sender',
    retry: 'never',
    means: 'The message must not be handled without its header {header}, which is not read here.',
    next: 'Have the sender leave that header out: log in over HTTPS instead of WS-Security, send reliably with a MessageId in the url instead of WS-ReliableMessaging.',
  },
  TOO_LARGE: {
    side: 'sender',
    retry: 'never',
    means: 'The SOAP message goes beyond the limit {limit} of {max}.',
    next: 'Send data in the body, not in the header; the limit keeps one message from taking the memory of all.',
  },
  CANNOT_WRITE: {
    side: 'flow',
    retry: 'never',
    means: 'The body cannot be put into a SOAP envelope: {text}.',
    next: 'Make it one XML document (step map or convert), then replay the message.',
  },
})
