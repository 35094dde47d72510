import { defineErrors } from '../../kernel/error.ts'

export const trialErrors = defineErrors('TRIAL', {
  ANSWER_MISSING: {
    side: 'caller',
    retry: 'never',
    means: 'The flow asks {id} at {place}, and a trial asks nobody.',
    next: "Say what it would answer: --answer '{place}=FILE'.",
  },
  NO_NETWORK: {
    side: 'caller',
    retry: 'never',
    means: 'Something in the flow wanted to connect to {host}; a trial connects to nobody.',
    next: 'Only steps of your own modules can want that; hand them what they need with the message.',
  },
  REFUSED: {
    side: 'caller',
    retry: 'never',
    means: 'The endpoint of the flow answered {status}, so there is no message: {text}',
    next: 'Correct the body or its media type (--type), as a caller would have to.',
  },
})
