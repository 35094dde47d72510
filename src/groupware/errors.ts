import { defineErrors } from '../kernel/error.ts'

/** What the sync itself can run into; failures of the sides carry the codes of their drivers. */
export const groupwareErrors = defineErrors('GROUPWARE', {
  ENDLESS_LISTING: {
    side: 'sender',
    retry: 'soon',
    means:
      'The {side} side tells changes of {mailbox} ({kind}) without end: {pages} pages, or tokens that are lost at once.',
    next: 'Look whether another program changes the same items again and again; raise the limit pagesMax for a huge mailbox.',
  },
})
