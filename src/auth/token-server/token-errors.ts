import { defineErrors } from '../../kernel/error.ts'

export const tokenErrors = defineErrors('TOKEN', {
  KEY_UNREADABLE: {
    side: 'hub',
    retry: 'after-change',
    means: 'The signing key {kid} of the token server cannot be read: {reason}',
    next: 'Start the hub with the master key that sealed it.',
  },
  TRUST_UNUSABLE: {
    side: 'flow',
    retry: 'never',
    means: 'The trusted issuer {name} cannot be used: {reason}',
    next: 'Correct it under tokens.trusted in isthmus.yaml.',
  },
})
