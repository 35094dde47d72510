import { defineErrors } from '../kernel/error.ts'

export const mappingErrors = defineErrors('MAPPING', {
  FAILED: {
    side: 'sender',
    retry: 'never',
    means: '{count} of the target fields got no right value: {text}',
    next: 'Correct the data at its source, or the rule in {mapping}, then replay the message; isthmus mapping why shows each step.',
  },
  SEVERAL: {
    side: 'sender',
    retry: 'never',
    means: 'The document has {count} of {path}, and {mapping} makes something of one alone.',
    next: 'Send each in a message of its own, or write the mapping with each() and the flow for a list of records; then replay the message or send it anew.',
  },
})

/** Something a rule cannot do with a value; the mapping says for which field. */
export class RuleFault extends Error {}
