import { defineErrors } from '../../kernel/error.ts'

export const xiMessageErrors = defineErrors('XIMESSAGE', {
  SHAPE: {
    side: 'sender',
    retry: 'never',
    means: 'The request is no XI message: {text}.',
    next: 'Send messages of the XI 3.0 protocol (transaction SXMB_ADM, destination of type H), or use the soap adapter.',
  },
  NOT_UNDERSTOOD: {
    side: 'sender',
    retry: 'never',
    means: 'The message must not be handled without its header {header}, which is not read here.',
    next: 'Have the sender leave that header out (WS-Security is not part of XI 3.0; log in over HTTPS).',
  },
  PAYLOAD_MISSING: {
    side: 'sender',
    retry: 'never',
    means: 'The manifest names the payload {payload}, which the message does not bring.',
    next: 'Look at what cut the message on its way; nothing of it was taken.',
  },
  TOO_LARGE: {
    side: 'sender',
    retry: 'never',
    means: 'The XI message goes beyond the limit {limit} of {max}.',
    next: 'Send data as payload, not in the header; the limit keeps one message from taking the memory of all.',
  },
  CANNOT_WRITE: {
    side: 'flow',
    retry: 'never',
    means: 'The XI message cannot be written: {text}.',
    next: 'Correct the configuration or the step that made the value, then replay the message.',
  },
})
