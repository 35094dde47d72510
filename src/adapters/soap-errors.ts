import { defineErrors } from '../kernel/error.ts'
import { answerErrors } from './answer-errors.ts'

/** What the soap sender answers to whoever calls it. */
export const soapSenderErrors = defineErrors('SOAP', {
  ID_MISSING: {
    side: 'caller',
    retry: 'never',
    means: 'The request names no message id, by which a repeat of it would be recognised: {where} is missing.',
    next: 'Send it with one; SAP adds it in the message protocol SAP RM.',
  },
  FAULT_SENT: {
    side: 'caller',
    retry: 'never',
    means: 'The message is a fault, which nothing here waits for.',
    next: 'Send requests to this endpoint.',
  },
  ...answerErrors,
  WSDL_UNREADABLE: {
    side: 'flow',
    retry: 'after-change',
    means: 'The description {file} cannot be read: {reason}.',
    next: 'Put the WSDL file there; the path is relative to the flow document.',
  },
})

/** What SOAP services answer the soap receiver. */
export const soapReceiverErrors = defineErrors('SOAPRECEIVER', {
  FAULT: {
    side: 'receiver',
    retry: 'never',
    means: '{server} answered with a fault ({code}): {text}',
    next: 'Read the fault: the message, or what the flow makes of it, does not suit the service. Correct, then replay.',
  },
  SERVER_FAULT: {
    side: 'receiver',
    retry: 'soon',
    means: '{server} failed with a fault ({code}): {text}',
    next: 'Nothing, the hub tries again; if it goes on, look into the log of the other side.',
  },
  ANSWER_UNCLEAR: {
    side: 'receiver',
    retry: 'never',
    means: '{server} answered {status} with something that is no SOAP message: {text}',
    next: 'Check the url: it is that of the service, not of its description. The request itself may have been taken.',
  },
})
