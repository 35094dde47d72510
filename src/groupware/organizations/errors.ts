import { defineErrors } from '../../kernel/error.ts'

/** What administrators of the groupware sync can get wrong. */
export const organizationErrors = defineErrors('ORGANIZATION', {
  UNKNOWN: {
    side: 'caller',
    retry: 'never',
    means: 'There is no organization "{organization}".',
    next: 'isthmus organization list shows those there are.',
  },
  EXISTS: {
    side: 'caller',
    retry: 'never',
    means: 'There is an organization "{organization}" already.',
    next: 'Change it with isthmus organization update, or choose another name.',
  },
  INVALID: {
    side: 'caller',
    retry: 'never',
    means: 'The settings of "{name}" are not in order: {reason}',
    next: 'Correct them and save again; docs/reference/groupware.md shows each setting.',
  },
  IN_USE: {
    side: 'caller',
    retry: 'never',
    means: 'Organization "{organization}" has {count} mailboxes.',
    next: 'Delete its mailboxes first (isthmus mailbox delete {organization} --all).',
  },
  CHANGED_MEANWHILE: {
    side: 'caller',
    retry: 'never',
    means: '"{name}" was changed by somebody else meanwhile.',
    next: 'Look at it as it is now, and make your change again.',
  },
  PROFILE_UNKNOWN: {
    side: 'caller',
    retry: 'never',
    means: 'There is no profile "{profile}".',
    next: 'isthmus profile list shows those there are; "default" is always there.',
  },
  PROFILE_IN_USE: {
    side: 'caller',
    retry: 'never',
    means: 'Profile "{profile}" is used by {users}.',
    next: 'Give those organizations another profile first; the profile "default" stays.',
  },
  MAILBOX_UNKNOWN: {
    side: 'caller',
    retry: 'never',
    means: 'No organization has a mailbox {mailbox}.',
    next: 'isthmus mailbox list shows those there are.',
  },
  MAILBOX_ELSEWHERE: {
    side: 'caller',
    retry: 'never',
    means: 'Mailbox {mailbox} belongs to organization "{organization}".',
    next: 'A mailbox belongs to one organization; delete it there first, or leave it there.',
  },
  MAILBOX_STATE: {
    side: 'caller',
    retry: 'never',
    means: 'Mailbox {mailbox} is {state}, so it cannot be {wish}.',
    next: 'isthmus mailbox show says what may be done with it.',
  },
  LIST_INVALID: {
    side: 'caller',
    retry: 'never',
    means: 'The list of mailboxes has {count} mistakes; nothing was taken: {first}',
    next: 'Correct the lines that are named and give the list again; --dry-run only looks.',
  },
  TOO_MANY: {
    side: 'caller',
    retry: 'never',
    means: 'That would be more than {max} {what}.',
    next: 'Spread them over several hubs or organizations.',
  },
  JOB_UNKNOWN: {
    side: 'caller',
    retry: 'never',
    means: 'There is no job {job}.',
    next: 'isthmus mailbox jobs shows those of the last 30 days.',
  },
  NO_MAILBOX_TO_TEST: {
    side: 'caller',
    retry: 'never',
    means: 'Organization "{organization}" has no mailbox to test the access with.',
    next: 'Name one (testMailbox), or add its first mailbox.',
  },
  STORE_UNREADABLE: {
    side: 'hub',
    retry: 'after-change',
    means: 'What the store has of {what} "{name}" cannot be read: {reason}',
    next: 'Restore the data folder from its backup; the sync is opened again with the next command or start.',
  },
  CREDENTIAL_UNFIT: {
    side: 'caller',
    retry: 'after-change',
    means: 'Credential {credential} is of kind {kind}, which {server} does not take.',
    next: 'Name an OAuth 2.0 credential for Microsoft Graph; basic, OAuth 2.0 or a certificate for Cloud for Customer.',
  },
  EWS_OVER: {
    side: 'caller',
    retry: 'never',
    means: 'Exchange Online takes no EWS any more (since 2027-04-01): organization "{organization}" has to use Graph.',
    next: 'Change the access type to graph; all links are kept (docs/guides/groupware.md, "From EWS to Graph").',
  },
})
