import { defineErrors } from '../../kernel/error.ts'

export const tokenErrors = defineErrors('TOKEN', {
  KEY_UNREADABLE: {
    side: 'hub',
    retry: 'after-change',
    means: 'The signing key {kid} of the token server cannot be read: {reason}',
    next: 'Start the hub with the master key that sealed it.',
  },
  ALGORITHM_UNKNOWN: {
    side: 'caller',
    retry: 'never',
    means: 'The token server does not sign with {algorithm}.',
    next: 'Take ES256, RS256 or EdDSA.',
  },
  TRUST_UNUSABLE: {
    side: 'flow',
    retry: 'never',
    means: 'The trusted issuer {name} cannot be used: {reason}',
    next: 'Correct it under tokens.trusted in isthmus.yaml.',
  },
  ISSUER_UNUSABLE: {
    side: 'flow',
    retry: 'never',
    means: 'The token server cannot be reached at {issuer}: {reason}',
    next: 'Set tokens.issuer in isthmus.yaml to the origin under which callers reach the endpoints of the hub.',
  },
})
