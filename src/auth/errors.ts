import { defineErrors } from '../kernel/error.ts'

export const credentialErrors = defineErrors('CREDENTIAL', {
  UNKNOWN: {
    side: 'hub',
    retry: 'after-change',
    means: 'There is no credential named {credential}.',
    next: 'Create it under Credentials (isthmus credential create {credential}), or correct the name in the flow.',
  },
  EXISTS: {
    side: 'caller',
    retry: 'never',
    means: 'There is a credential named {credential} already.',
    next: 'Change that one, or choose another name.',
  },
  INVALID: {
    side: 'caller',
    retry: 'never',
    means: 'The credential {credential} cannot be kept as given: {reason}',
    next: 'Correct the named field.',
  },
  SECRET_WANTED: {
    side: 'caller',
    retry: 'never',
    means: 'The credential {credential} would send its kept secret to another server ({origin}).',
    next: 'Enter the secret again together with the new address.',
  },
  CHANGED_MEANWHILE: {
    side: 'caller',
    retry: 'soon',
    means: 'Somebody else changed the credential {credential} meanwhile.',
    next: 'Look at it again and repeat the change.',
  },
  NOT_AUTHORISED: {
    side: 'hub',
    retry: 'after-change',
    means: 'Nobody has signed in for the credential {credential} yet.',
    next: 'Open Credentials > {credential} and sign in (isthmus credential authorise {credential}).',
  },
  NOT_STORED: {
    side: 'hub',
    retry: 'soon',
    means: 'The new refresh token of {credential} could not be stored, so its access token is not used: {reason}',
    next: 'Make the store writable again (disk full?); the hub keeps the new token in memory until it is stored.',
  },
  CERTIFICATE_ENDED: {
    side: 'hub',
    retry: 'after-change',
    means: 'The certificate of credential {credential} ended on {day}.',
    next: 'Have it renewed, and store the new one with its key (isthmus credential renew {credential}).',
  },
  NO_REFRESH_TOKEN: {
    side: 'caller',
    retry: 'never',
    means: 'The sign-in for {credential} gave no refresh token, so it would end within the hour.',
    next: 'Ask for offline access: scope offline_access (Microsoft), parameters access_type=offline and prompt=consent (Google).',
  },
  NOT_BY_SIGN_IN: {
    side: 'caller',
    retry: 'never',
    means: 'The credential {credential} is of kind {kind}; nobody signs in for it.',
    next: 'Sign in only for credentials of kind oauth2-authorization-code.',
  },
  SIGN_IN_UNKNOWN: {
    side: 'caller',
    retry: 'never',
    means: 'This sign-in is not expected: it was used already, took longer than ten minutes or was not begun here.',
    next: 'Begin the sign-in again at Credentials.',
  },
  OTHER_BROWSER: {
    side: 'caller',
    retry: 'never',
    means: 'This sign-in was begun in another browser.',
    next: 'Finish it in the browser where it was begun, or begin it again in this one.',
  },
  OTHER_ISSUER: {
    side: 'caller',
    retry: 'never',
    means: 'The answer to the sign-in for {credential} came from {issuer}, which is not the server it was sent to.',
    next: 'Do not repeat it; compare the issuer in the credential with the provider, and look who sent the link.',
  },
  TOO_MANY_SIGN_INS: {
    side: 'caller',
    retry: 'soon',
    means: 'More than {count} sign-ins are open at the same time.',
    next: 'Wait ten minutes; unfinished ones go away by themselves.',
  },
})
