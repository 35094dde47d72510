import { defineErrors } from '../kernel/error.ts'

export const mappingErrors = defineErrors('MAPPING', {
  FAILED: {
    side: 'sender',
    retry: 'never',
    means: '{count} of the target fields got no right value: {text}',
    next: 'Correct the data at its source, or the rule in {mapping}, then replay the message; isthmus mapping why shows each step.',
  },
})

/** Something a rule cannot do with a value; the mapping says for which field. */
export class RuleFault extends Error {}
