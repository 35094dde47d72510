import { defineErrors } from '../kernel/error.ts'
import { answerErrors } from './answer-errors.ts'

/** What the xi sender answers to systems that call it. */
export const xiSenderErrors = defineErrors('XI', {
  CLASS_REFUSED: {
    side: 'caller',
    retry: 'never',
    means: 'This endpoint takes {takes}, not a message of class {class}.',
    next: 'Send it to the endpoint of a flow that takes such messages (takes in its sender).',
  },
  INTERFACE_REFUSED: {
    side: 'caller',
    retry: 'never',
    means: 'No flow at this endpoint takes the interface {interface} ({namespace}).',
    next: 'Name it under interfaces in the sender of a flow, or correct the interface in the system that sends.',
  },
  ATTACHMENTS_REFUSED: {
    side: 'caller',
    retry: 'never',
    means: 'The message brings {count} payloads beside its document, and the flow takes the document alone.',
    next: 'Write attachments: drop to go without them, or take: message to take the message as a whole.',
  },
  PAYLOAD_UNCLEAR: {
    side: 'caller',
    retry: 'never',
    means: 'The message brings {count} attachments and no main document.',
    next: 'Write take: message in the sender of the flow, and let the flow take it apart.',
  },
  ...answerErrors,
  ANSWER_GONE: {
    side: 'hub',
    retry: 'never',
    means: 'Message {id} was answered before, and the answer is not kept any more.',
    next: 'Ask anew, with another message id.',
  },
})

/** What systems of SAP answer the xi receiver. */
export const xiReceiverErrors = defineErrors('XIRECEIVER', {
  REFUSED: {
    side: 'receiver',
    retry: 'never',
    means: '{server} refused the message ({category}, {area} {code}): {text}',
    next: 'Look it up there by message id {id} (transaction SXMB_MONI), correct the cause, then replay it here.',
  },
  FAILED: {
    side: 'receiver',
    retry: 'soon',
    means: '{server} could not take the message now ({category}, {area} {code}): {text}',
    next: 'Nothing, the hub tries again with the same message id; if it goes on, look at SXMB_MONI there.',
  },
  APPLICATION_FAULT: {
    side: 'receiver',
    retry: 'never',
    isAboutMessage: true,
    means: 'The application behind {server} answered with a fault ({area} {code}): {text}',
    next: 'Correct the data that the fault names, then replay the message.',
  },
  ANSWER_UNCLEAR: {
    side: 'receiver',
    retry: 'soon',
    means: '{server} answered {status} with something that is no XI message: {text}',
    next: 'Check the url: an Integration Engine has /sap/xi/engine?type=entry, Process Orchestration /MessagingSystem/receive/AFW/XI.',
  },
  ATTACHMENTS_REFUSED: {
    side: 'receiver',
    retry: 'never',
    means:
      '{server} answered the query, with {count} payloads beside the document, and the flow takes the document alone.',
    next: 'Write attachments: drop to go without them, or take: message to take the answer as a whole; a replay asks again.',
  },
  PAYLOAD_UNCLEAR: {
    side: 'receiver',
    retry: 'never',
    means: '{server} answered the query with {count} attachments and no main document.',
    next: 'Write take: message in the receiver, and let the flow take the answer apart; a replay asks again.',
  },
  NO_REFERENCE: {
    side: 'flow',
    retry: 'never',
    means: 'There is no message to acknowledge: the attribute messageId is missing.',
    next: 'Acknowledge from a flow whose sender is answers, of messages that an xi sender took in.',
  },
})
