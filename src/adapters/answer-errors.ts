/** How a question may end that a flow was to answer; each sender that takes questions has these in its own area. */
export const answerErrors = {
  LATE: {
    side: 'hub',
    retry: 'soon',
    means: 'There is no answer to message {id} within {within}.',
    next: 'Ask again with the same message id: the message goes on, and its answer is kept.',
  },
  REJECTED: {
    side: 'caller',
    retry: 'never',
    means: '{summary}',
    next: 'Correct the request; whoever runs the hub finds it as message {id}.',
  },
  NOT_ANSWERED: {
    side: 'flow',
    retry: 'never',
    means: 'Message {id} ended without an answer: {summary}',
    next: 'Whoever runs the hub finds it by its id: isthmus message show {id}.',
  },
  FAILED: {
    side: 'flow',
    retry: 'never',
    means: 'Message {id} was taken in but not delivered ({code}).',
    next: 'Whoever runs the hub finds it by its id: isthmus message show {id}.',
  },
} as const
