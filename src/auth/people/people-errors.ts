import { defineErrors } from '../../kernel/error.ts'

export const peopleErrors = defineErrors('USER', {
  UNKNOWN: {
    side: 'caller',
    retry: 'never',
    means: 'There is no {kind} {user}.',
    next: 'See which ones there are: isthmus {kind} list.',
  },
  EXISTS: {
    side: 'caller',
    retry: 'never',
    means: 'There is {kind} {user} already.',
    next: 'Change that one, or choose another name.',
  },
  INVALID: {
    side: 'caller',
    retry: 'never',
    means: 'The account {user} cannot be kept as given: {reason}',
    next: 'Correct the named field.',
  },
  ROLE_UNKNOWN: {
    side: 'caller',
    retry: 'after-change',
    means: 'There is no role {role} that user {user} could have.',
    next: 'Correct the name (isthmus role list), or create it first: isthmus role create <name>.',
  },
  TOO_MANY: {
    side: 'caller',
    retry: 'never',
    means: 'There are {count} entries of kind {kind}, which is as many as one hub keeps.',
    next: 'Delete those who left (isthmus {kind} delete), or trust an identity provider instead (tokens.trusted).',
  },
})
