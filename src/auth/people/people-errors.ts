import { defineErrors } from '../../kernel/error.ts'

export const peopleErrors = defineErrors('USER', {
  UNKNOWN: {
    side: 'caller',
    retry: 'never',
    means: 'There is no user {user}.',
    next: 'See which ones there are: isthmus user list.',
  },
  EXISTS: {
    side: 'caller',
    retry: 'never',
    means: 'There is a user {user} already.',
    next: 'Change that one, or choose another name.',
  },
  INVALID: {
    side: 'caller',
    retry: 'never',
    means: 'The user {user} cannot be kept as given: {reason}',
    next: 'Correct the named field.',
  },
  TOO_MANY: {
    side: 'caller',
    retry: 'never',
    means: 'There are {count} users, which is as many as one hub keeps.',
    next: 'Delete users who left (isthmus user delete), or trust an identity provider instead (tokens.trusted).',
  },
})
