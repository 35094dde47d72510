import { defineErrors } from '../../kernel/error.ts'

/** What a sign-in server can answer that is no token. `credential` is the name people know it by. */
export const oauthErrors = defineErrors('OAUTH', {
  CONSENT_MISSING: {
    side: 'hub',
    retry: 'after-change',
    means: 'Nobody has consented yet that the application of {credential} may do this: {reason}.',
    next: '{step}',
  },
  SIGN_IN_NEEDED: {
    side: 'hub',
    retry: 'after-change',
    means: 'The sign-in of credential {credential} no longer holds: {reason}.',
    next: '{step}',
  },
  CLIENT_REFUSED: {
    side: 'hub',
    retry: 'after-change',
    means: 'The sign-in server does not accept the application of {credential}: {reason}.',
    next: '{step}',
  },
  REQUEST_REFUSED: {
    side: 'hub',
    retry: 'after-change',
    means: 'The sign-in server refused the request of {credential}: {reason}.',
    next: '{step}',
  },
  SERVER_BUSY: {
    side: 'hub',
    retry: 'soon',
    means: 'The sign-in server of {credential} asks to come back later ({reason}).',
    next: 'Nothing; the hub waits.',
  },
  SERVER_FAILED: {
    side: 'hub',
    retry: 'soon',
    means: 'The sign-in server of {credential} is not able to answer: {reason}.',
    next: 'Nothing, the hub tries again; if it goes on, look at the state of the sign-in service.',
  },
  ANSWER_ODD: {
    side: 'hub',
    retry: 'soon',
    means: 'The sign-in server of {credential} answered with something that is no token: {reason}.',
    next: 'Check that the token URL of the credential is the right one and that no proxy answers in its place.',
  },
})
