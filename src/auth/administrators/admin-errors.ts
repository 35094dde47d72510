import { defineErrors } from '../../kernel/error.ts'

export const adminErrors = defineErrors('ADMIN', {
  ROLE_UNKNOWN: {
    side: 'caller',
    retry: 'never',
    means: 'There is no role {role} for administrators.',
    next: 'There are {roles}.',
  },
  NAME_RESERVED: {
    side: 'caller',
    retry: 'never',
    means: 'Nobody can be called {name}: that is how the audit log calls the machine itself.',
    next: 'Choose another name.',
  },
  LAST_ONE: {
    side: 'caller',
    retry: 'never',
    means: '{name} is the last administrator with the role {role}.',
    next: 'Give the role to somebody else first.',
  },
  LOGIN_REFUSED: {
    side: 'caller',
    retry: 'after-change',
    means: 'The log-in did not succeed: name, password or code is wrong.',
    next: 'Try again; whoever has an authenticator sends its newest code, or a recovery code. An administrator can set a new password.',
  },
  LOGIN_TOO_OFTEN: {
    side: 'caller',
    retry: 'soon',
    means: 'Too many log-ins failed.',
    next: 'Wait {wait}, then try again.',
  },
  SIGN_IN_UNREACHABLE: {
    side: 'hub',
    retry: 'soon',
    means: 'The identity provider {issuer} does not answer as one: {text}',
    next: 'Check admin.sign-in in isthmus.yaml, and whether the hub reaches the provider.',
  },
  SIGN_IN_UNKNOWN: {
    side: 'caller',
    retry: 'never',
    means: 'This log-in was not begun here, or took too long.',
    next: 'Begin again in this browser.',
  },
  SIGN_IN_REFUSED: {
    side: 'caller',
    retry: 'never',
    means: 'The identity provider did not vouch for anybody: {text}',
    next: 'Begin again; if it stays so, compare admin.sign-in in isthmus.yaml with the registration at the provider.',
  },
  SIGN_IN_WITHOUT_ROLE: {
    side: 'caller',
    retry: 'after-change',
    means: '{name} is in no group that has a role here.',
    next: 'Name one of the groups under admin.sign-in.roles in isthmus.yaml.',
  },
  CODE_WRONG: {
    side: 'caller',
    retry: 'after-change',
    means: 'The code is not the one of the authenticator of {name}.',
    next: 'Each code counts once: wait for the next one. If that is refused as well, compare the clocks of both machines.',
  },
  TOTP_STANDS: {
    side: 'caller',
    retry: 'never',
    means: '{name} has an authenticator already.',
    next: 'An administrator takes it away first: isthmus admin totp {name} --remove.',
  },
  TOTP_MISSING: {
    side: 'caller',
    retry: 'never',
    means: '{name} has no authenticator that recovery codes could stand in for.',
    next: 'Set one up first: isthmus admin totp {name}.',
  },
  TOTP_UNKNOWN: {
    side: 'caller',
    retry: 'never',
    means: 'No authenticator of {name} waits to be confirmed.',
    next: 'Begin with isthmus admin totp {name}.',
  },
})
