import { defineErrors } from '../kernel/error.ts'

export const expressionErrors = defineErrors('EXPRESSION', {
  NOT_VALID: {
    side: 'flow',
    retry: 'never',
    means: 'The expression "{text}" is not valid: {why}',
    next: '{hint}',
  },
  FAILED: {
    side: 'flow',
    retry: 'never',
    means: 'The expression "{text}" failed on this message: {why}',
    next: '{hint}',
  },
})
