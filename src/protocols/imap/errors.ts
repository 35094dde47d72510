import { defineErrors } from '../../kernel/error.ts'

/** Everything that can go wrong between a mailbox and the hub. */
export const imapErrors = defineErrors('IMAP', {
  AUTH_REFUSED: {
    side: 'sender',
    retry: 'after-change',
    means: 'The mail server refused to log {user} in: {answer}',
    next: 'Open Credentials > {credential} and sign in again; for app-only access check IMAP.AccessAsApp and the service principal.',
  },
  CONNECTED_NOT_AUTHORISED: {
    side: 'sender',
    retry: 'after-change',
    means:
      'The mail server took the token but does not open the mailbox {user} ("User is authenticated but not connected").',
    next: 'Check four things: the signed-in account has FullAccess on {user}, IMAP is switched on for that mailbox, the scope is IMAP.AccessAsUser.All (or IMAP.AccessAsApp), and not too many connections are open. The hub tries again slowly.',
  },
  TOKEN_EXPIRED: {
    side: 'sender',
    retry: 'soon',
    means: 'The mail server ended the session of {user} because its token expired.',
    next: 'Nothing; the hub fetches a new token and logs in again.',
  },
  METHOD_MISSING: {
    side: 'sender',
    retry: 'after-change',
    means: 'The mail server does not offer {method}; it offers: {offered}',
    next: 'Use a credential of a kind the server knows, or switch the method on at the server.',
  },
  OWN_MAILBOX_ONLY: {
    side: 'sender',
    retry: 'after-change',
    means:
      'The mail server offers no AUTH=PLAIN, and with LOGIN {login} opens the own mailbox, which need not be {user}.',
    next: 'Use a credential of the mailbox itself, or let the server offer AUTH=PLAIN. If {login} is what this server calls the mailbox, write that under user.',
  },
  CREDENTIAL_KIND: {
    side: 'flow',
    retry: 'after-change',
    means: 'Credential {credential} is of kind {kind}; a mailbox needs oauth2 or basic.',
    next: 'Name another credential under auth, or create {credential} anew with a kind that fits.',
  },
  THROTTLED: {
    side: 'sender',
    retry: 'soon',
    means: 'The mail server throttles {user}: {answer}',
    next: 'Nothing; the hub waits as long as the server asked. If it happens every day, read less often or ask for a throttling policy.',
  },
  SERVER_BUSY: {
    side: 'sender',
    retry: 'soon',
    means: 'The mail server asked us to come back later: {answer}',
    next: 'Nothing; the hub waits and tries again.',
  },
  CONNECTION_LOST: {
    side: 'sender',
    retry: 'soon',
    means: 'The connection to the mailbox {user} was lost: {text}',
    next: 'Nothing; the hub connects again. If it goes on, look at the network and at the mail server.',
  },
  TIMEOUT: {
    side: 'sender',
    retry: 'soon',
    means: 'The mail server did not answer {command} within {timeoutMs} ms.',
    next: 'Nothing; the hub connects again. If it goes on, look at the mail server or raise timeout.',
  },
  TOO_SLOW: {
    side: 'sender',
    retry: 'soon',
    means:
      'The mail server of {user} is too slow: it never fell silent, but {command} had not ended after {time}, and the last {termTime} brought {bytes} bytes.',
    next: 'Nothing at first; the hub connects again, and a mail that is always too slow is put aside. If it goes on, look at the mail server and at the line to it: in ten minutes 600 KiB have to come.',
  },
  PREAUTHENTICATED: {
    side: 'sender',
    retry: 'after-change',
    means:
      'The mail server of {user} greeted with PREAUTH: it takes the connection for one that is logged in already, and does not say as whom.',
    next: 'Let the server ask for a log-in on this port, or name another port. The hub reads no mailbox without logging in to it, and after PREAUTH there can be no STARTTLS either.',
  },
  PROTOCOL: {
    side: 'sender',
    retry: 'soon',
    means: 'The mail server sent something that is not IMAP ({reason}): {line}',
    next: 'Check host, port and security of the flow; with those right, keep the line for the people of the mail server.',
  },
  LIMIT: {
    side: 'sender',
    retry: 'soon',
    means: 'The mail server sent more than the limit {limit} ({allowed}) allows.',
    next: 'Look at the mail server; the limit protects the memory of the hub.',
  },
  CA_UNREADABLE: {
    side: 'flow',
    retry: 'after-change',
    means: 'The certificate file {file} cannot be used: {reason}.',
    next: 'Put a PEM file of the authority there; the path is relative to the flow document.',
  },
  TLS_MISSING: {
    side: 'sender',
    retry: 'after-change',
    means: 'The mail server does not offer STARTTLS.',
    next: 'Use security: tls with the port for IMAPS (993), or switch STARTTLS on at the server.',
  },
  COMMAND_REFUSED: {
    side: 'sender',
    retry: 'soon',
    means: 'The mail server refused {command}: {answer}',
    next: 'Read the answer of the server; rights on the folder and its quota are the usual reasons. The hub tries again.',
  },
  FOLDER_MISSING: {
    side: 'sender',
    retry: 'after-change',
    means: 'The mailbox {user} has no folder "{folder}": {answer}',
    next: 'Create the folder, or correct its name in the flow (case and language count).',
  },
  FOLDER_PLACE: {
    side: 'flow',
    retry: 'after-change',
    means: 'The mailbox {user} has no folder "{folder}" ({answer}); its server would call it "{name}".',
    next: 'Write "{name}" in the flow, or whatever its folders are called in a mail program that shows whole names.',
  },
  READ_ONLY: {
    side: 'sender',
    retry: 'after-change',
    means: 'The mail server lets a folder of {user} be read only: it keeps no {flag} there.',
    next: 'Give the account that logs in the right to change the mails of the folder (FullAccess in Exchange; s, t and e in access control lists).',
  },
  FOLDER_NAME: {
    side: 'flow',
    retry: 'never',
    means: 'A folder cannot be called "{folder}".',
    next: 'Use a name without control characters and of at most 1,000 letters.',
  },
  ROW_MISSING: {
    side: 'sender',
    retry: 'soon',
    means: 'The mail server lists mail {uid} of {user} but did not hand it over in {attempts} attempts ({detail}).',
    next: 'Open the mail in Outlook; it is usually damaged there. Move it out of the folder or ask the sender to send it again.',
  },
  MAIL_TOO_LARGE: {
    side: 'sender',
    retry: 'never',
    means: 'Mail {uid} of {user} has {bytes} bytes; max-size allows {bytesMax}. Subject: {subject}',
    next: 'Raise max-size in the flow (and limits.messageBytes in isthmus.yaml), then move the mail back and mark it unread.',
  },
  LOOP: {
    side: 'sender',
    retry: 'never',
    means: 'Mail {uid} of {user} has {receivedCount} Received lines, so it runs in circles. Subject: {subject}',
    next: 'Find the forwarding rule that sends it back to this mailbox; raise received-max if there is none.',
  },
  MAIL_REFUSED: {
    side: 'sender',
    retry: 'never',
    means: 'Mail {uid} of {user} could not be taken in: {reason}',
    next: 'The mail lies unchanged in the mailbox. Look at it there and at the reason; move it back unread to try again.',
  },
  DONE_REFUSED: {
    side: 'sender',
    retry: 'soon',
    means: '{count} mails of {user} are dealt with, but the mail server refused to {action}: {answer}',
    next: 'Check that the target folder exists and may be written to, and that the account may change the folder that is read. The hub tries again and does not send those mails twice.',
  },
  NO_EXPUNGE: {
    side: 'sender',
    retry: 'after-change',
    means:
      'The mail server of {user} has neither MOVE nor UIDPLUS, so mails that are dealt with stay there marked as deleted.',
    next: 'Empty the folder with a mail client from time to time, or mark them as read instead (done, mark).',
  },
})
