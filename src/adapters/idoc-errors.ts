import { defineErrors } from '../kernel/error.ts'

export const idocAdapterErrors = defineErrors('IDOC', {
  MEDIA_TYPE: {
    side: 'caller',
    retry: 'never',
    means: 'The request is of type {type}, and this endpoint takes {wanted}.',
    next: 'Correct the content type in the RFC destination (SM59) or in the program that sends.',
  },
  LAYOUTS_UNREADABLE: {
    side: 'flow',
    retry: 'after-change',
    means: 'The layouts in {file} cannot be used: {reason}.',
    next: 'Put a JSON file there with the segment definitions of the release (transaction WE60); the path is relative to the flow document.',
  },
  BODY_UNFIT: {
    side: 'flow',
    retry: 'never',
    means: 'No IDoc can be made of the message: {text}.',
    next: 'Look at the message (isthmus message show) and at the step that made its body, then replay it.',
  },
  LATE: {
    side: 'hub',
    retry: 'soon',
    means: 'There is no answer to message {id} within {within}.',
    next: 'Ask again with the same IDoc: the message goes on, and its answer is kept.',
  },
  REJECTED: {
    side: 'caller',
    retry: 'never',
    means: '{summary}',
    next: 'Correct the question, and ask with another IDoc; whoever runs the hub finds this one as message {id}.',
  },
  NOT_ANSWERED: {
    side: 'flow',
    retry: 'never',
    means: 'Message {id} ended without an answer: {why}',
    next: 'Whoever runs the hub finds it by its id: isthmus message show {id}.',
  },
  ANSWER_GONE: {
    side: 'hub',
    retry: 'never',
    means: 'Message {id} was answered before, and the answer is not kept any more.',
    next: 'Ask anew, with another IDoc.',
  },
  ANSWER_UNCLEAR: {
    side: 'receiver',
    retry: 'never',
    means: '{server} answered {status} with a page that does not say that it took the IDoc: {text}',
    next: 'Check url and log-in; look into WE02 there whether the IDoc came, then skip or replay the message.',
  },
  REFUSED_BY_SAP: {
    side: 'receiver',
    retry: 'never',
    isAboutMessage: true,
    means: '{server} took the request and refused the IDoc: {text}',
    next: 'Look into transactions SRT_UTIL and WE02 of the SAP system; correct partner profile, port or IDoc, then replay.',
  },
})
