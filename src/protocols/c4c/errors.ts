import { defineErrors } from '../../kernel/error.ts'

/** What SAP Cloud for Customer can answer. What is no matter of the service itself has codes of ODATA and NET. */
export const c4cErrors = defineErrors('C4C', {
  LOGIN_REFUSED: {
    side: 'receiver',
    retry: 'after-change',
    means: 'Cloud for Customer at {server} does not accept the log-in of this hub (401): {text}',
    next: 'Check Credentials > {credential} and the user behind it: locked, expired, or its communication arrangement switched off.',
  },
  FORBIDDEN: {
    side: 'receiver',
    retry: 'after-change',
    means: 'Cloud for Customer at {server} knows this hub but does not let it see {path} (403): {text}',
    next: 'Give the user of {credential} the communication scenario "OData Services for Business Objects", or its work centre views.',
  },
  GONE: {
    side: 'receiver',
    retry: 'never',
    isAboutMessage: true,
    means: 'Cloud for Customer at {server} has nothing at {path}: {text}',
    next: 'Nothing where it was deleted; otherwise check the address of the service.',
  },
  CHANGED_MEANWHILE: {
    side: 'receiver',
    retry: 'soon',
    isAboutMessage: true,
    means: 'Somebody else changed {path} in Cloud for Customer since it was read (412): {text}',
    next: 'Nothing; the hub reads it again and merges anew.',
  },
  BUSY: {
    side: 'receiver',
    retry: 'soon',
    isThrottling: true,
    means: 'Cloud for Customer at {server} asks to come back later ({status}): {text}',
    next: 'Nothing; the hub waits as long as it was asked to.',
  },
  SERVER_FAILED: {
    side: 'receiver',
    retry: 'soon',
    means: 'Cloud for Customer at {server} failed at {path} with {status}: {text}',
    next: 'Nothing, the hub tries again; if it goes on, report it to SAP with time and path.',
  },
  REFUSED: {
    side: 'receiver',
    retry: 'never',
    isAboutMessage: true,
    means: 'Cloud for Customer refused {path} ({status}): {text}',
    next: 'Read the text: a value does not suit the tenant, or one of its own rules refused it. Correct it at its source.',
  },
  OUTCOME_UNKNOWN: {
    side: 'receiver',
    retry: 'soon',
    isOutcomeUnknown: true,
    means: 'Whether Cloud for Customer did what it was asked at {path} is not known: {reason}.',
    next: 'Nothing; the hub looks for the GroupwareItemID before it writes again.',
  },
  EMPLOYEE_UNKNOWN: {
    side: 'receiver',
    retry: 'after-change',
    means: 'Cloud for Customer has no employee with the mail address {email}.',
    next: 'Enter this address with the employee in Cloud for Customer, or correct the address of the mailbox here.',
  },
  EMPLOYEE_AMBIGUOUS: {
    side: 'receiver',
    retry: 'after-change',
    means: 'Cloud for Customer has {count} employees with the mail address {email}.',
    next: 'Leave the address with one of them, so that it is clear whose mailbox it is.',
  },
  EMPLOYEE_LOCKED: {
    side: 'receiver',
    retry: 'after-change',
    means: 'The user of {email} is locked in Cloud for Customer.',
    next: 'Unlock the user there, or deactivate the mailbox here.',
  },
  ANSWER_ODD: {
    side: 'receiver',
    retry: 'soon',
    means: 'Cloud for Customer answered at {path} with something that does not fit: {reason}.',
    next: 'Check the address of the service: it ends with /sap/c4c/odata/v1/c4codataapi/.',
  },
  ANSWER_TOO_LARGE: {
    side: 'receiver',
    retry: 'never',
    isAboutMessage: true,
    means: 'What Cloud for Customer has at {path} is more than the hub takes: {text}',
    next: 'Leave large attachments out of the sync.',
  },
  ATTACHMENT_TOO_LARGE: {
    side: 'receiver',
    retry: 'never',
    isAboutMessage: true,
    means: 'The attachment {name} has {bytes} bytes, more than the {bytesMax} that go into Cloud for Customer.',
    next: 'Leave large attachments out of the sync.',
  },
})
