import { defineErrors } from '../../kernel/error.ts'

/** What can go wrong while a mail is handed to a mail server. `{server}` is `host:port`, `{reply}` the server's words. */
export const smtpErrors = defineErrors('SMTP', {
  CONNECT_FAILED: {
    side: 'receiver',
    retry: 'soon',
    means: 'No connection to the mail server {server}: {text}',
    next: 'Nothing at first; the hub tries again. If it stays, see that the server runs and that host, port and via are right.',
  },
  GREETING_REFUSED: {
    side: 'receiver',
    retry: 'after-change',
    means: 'The mail server {server} does not want to talk to this client: {reply}',
    next: "Let the server's administrator allow the address of the hub (or of the connector), or correct helo.",
  },
  CA_UNREADABLE: {
    side: 'flow',
    retry: 'after-change',
    means: 'The certificate file {file} cannot be read: {text}',
    next: 'Put the PEM file beside the flow document, or correct ca.',
  },
  TLS_NEEDED: {
    side: 'receiver',
    retry: 'after-change',
    means: 'The connection to {server} is not encrypted, and it has to be: {text}',
    next: 'Switch STARTTLS on at the server and set security: starttls here; security: none only inside a trusted network.',
  },
  TLS_FAILED: {
    side: 'receiver',
    retry: 'after-change',
    means: 'TLS with the mail server {server} failed: {text}',
    next: 'Look at the certificate of the server; name its authority with ca if it is an own one.',
  },
  AUTH_REFUSED: {
    side: 'receiver',
    retry: 'after-change',
    means: 'The mail server {server} refused the log-in of {user}: {reply}',
    next: 'Correct the credential, or sign in again; for Microsoft 365 see that SMTP AUTH is allowed for the mailbox.',
  },
  AUTH_NEEDED: {
    side: 'receiver',
    retry: 'after-change',
    means: 'The mail server {server} wants a log-in: {reply}',
    next: 'Name a credential with auth.',
  },
  AUTH_UNFIT: {
    side: 'flow',
    retry: 'after-change',
    means: 'The credential cannot be used at {server}: {text}',
    next: 'Use a credential of kind basic (PLAIN, LOGIN) or oauth2 (XOAUTH2), as the server offers it.',
  },
  ADDRESS_INVALID: {
    side: 'flow',
    retry: 'never',
    means: '"{address}" is not a mail address that can be put on the wire: {text}',
    next: 'Correct the template of from or to, or repair the message and replay it.',
  },
  NO_RECIPIENT: {
    side: 'flow',
    retry: 'never',
    means: 'The mail has no recipient.',
    next: 'Set to in the receiver, or see why the sender found no recipient (message.to).',
  },
  RECIPIENTS_UNKNOWN: {
    side: 'flow',
    retry: 'never',
    means:
      'The header of the mail is longer than the hub reads ({bytes} bytes, {fields} fields), so not all of its recipients are known.',
    next: 'Name the recipients under to in the receiver, and replay the message.',
  },
  TOO_MANY_RECIPIENTS: {
    side: 'flow',
    retry: 'never',
    means: 'The mail has {count} recipients, more than the limit of {countMax}.',
    next: 'Split the list in the flow, send to a distribution list, or raise the limit of the mail server where it has one.',
  },
  SMTPUTF8_MISSING: {
    side: 'receiver',
    retry: 'never',
    means: 'The address {address} needs SMTPUTF8, which the mail server {server} does not offer.',
    next: 'Use an address in ASCII, or a server with SMTPUTF8.',
  },
  HEADER_INVALID: {
    side: 'flow',
    retry: 'never',
    means: 'The header {name} cannot be added: {text}',
    next: 'Correct headers.add; a value is one line of text.',
  },
  TOO_LARGE: {
    side: 'receiver',
    retry: 'never',
    means: 'A mail of {bytes} bytes is too large for {server}: {text}',
    next: 'Raise the limit of the server (or max-size here), or keep large mails out with a filter on message.size.',
  },
  LOOP: {
    side: 'flow',
    retry: 'never',
    means: 'The mail seems to go round in circles: {text}',
    next: 'Find the forwarding rule that sends it back; raise loop.received-max or correct loop.own-domains if it is none.',
  },
  REFUSED_FOR_NOW: {
    side: 'receiver',
    retry: 'soon',
    means: 'The mail server {server} asked to come back later, at {phase}: {reply}',
    next: 'Nothing; the hub tries again. If it stays, the reply says what the server lacks.',
  },
  TOO_MANY_CONNECTIONS: {
    side: 'receiver',
    retry: 'soon',
    isThrottling: true,
    means:
      'The mail server {server} carries as many connections of this client as it will, it says at {phase}: {reply}',
    next: 'Nothing; the hub goes on with fewer. If it stays so, set connections to what the server allows (3 for a mailbox of Exchange Online), or see who else uses them.',
  },
  REFUSED: {
    side: 'receiver',
    retry: 'never',
    means: 'The mail server {server} refused the mail for good, at {phase}: {reply}',
    next: 'Read the reply; correct the mail or the server, then replay.',
  },
  SEND_AS_DENIED: {
    side: 'receiver',
    retry: 'after-change',
    means: 'The mail server {server} does not let {user} send as {from}: {reply}',
    next: 'Grant Send As on that mailbox, or set from to the address of the credential.',
  },
  RECIPIENT_REFUSED: {
    side: 'receiver',
    retry: 'never',
    means: 'The mail server {server} refused the recipient {recipient}: {reply}',
    next: 'Correct to, or make the address known at the server (in S/4HANA: SAPconnect and SO50), then replay.',
  },
  SOME_RECIPIENTS_REFUSED: {
    side: 'receiver',
    retry: 'never',
    means: 'The mail server {server} refused {count} of the recipients, so nobody got the mail: {recipients}',
    next: 'Correct to and replay, or set some-refused: deliver so that the others get it.',
  },
  CONNECTION_LOST: {
    side: 'receiver',
    retry: 'soon',
    means: 'The connection to {server} was lost at {phase}, before the mail was handed over: {text}',
    next: 'Nothing; the hub tries again.',
  },
  TIMEOUT: {
    side: 'receiver',
    retry: 'soon',
    means: 'At {phase} the mail server {server} was not done within {timeoutMs} ms.',
    next: 'Nothing; the hub tries again. Raise the timeout only if the server is known to be slow.',
  },
  INTERRUPTED: {
    side: 'hub',
    retry: 'soon',
    means: 'Sending to {server} was stopped before the mail was handed over.',
    next: 'Nothing; the hub tries again.',
  },
  PROTOCOL: {
    side: 'receiver',
    retry: 'soon',
    means: 'The mail server {server} said something that is not SMTP: {text}',
    next: 'See that host and port are those of a mail server, and that security fits the port.',
  },
  BODY_TORN: {
    side: 'hub',
    retry: 'soon',
    means: 'The stored mail has {bytes} bytes but {bytesExpected} were announced, so it was not sent.',
    next: 'Look at the body store; report it with the id of the delivery.',
  },
  OUTCOME_UNKNOWN: {
    side: 'receiver',
    retry: 'never',
    isOutcomeUnknown: true,
    means: 'The mail {mail} was handed to {server}, but no answer came: the server may have it. {text}',
    next: 'Look for Message-ID {mail} at the server. If it is there, skip the delivery; if not, replay it.',
  },
})
