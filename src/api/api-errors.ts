import { defineErrors } from '../kernel/error.ts'

export const apiErrors = defineErrors('API', {
  KEY_MAP_ENTRY_UNKNOWN: {
    side: 'caller',
    retry: 'never',
    means: 'The key map {map} has nothing under {key}.',
    next: 'List what it has with isthmus keymap list {map}.',
  },
  TOKEN_MISSING: {
    side: 'caller',
    retry: 'after-change',
    means: 'This call needs the admin token.',
    next: 'Send the header "authorization: Bearer <token>"; the token lies in admin.token in the data folder of the hub.',
  },
  TOKEN_WRONG: {
    side: 'caller',
    retry: 'after-change',
    means: 'The admin token is not the one of this hub.',
    next: 'Take the token from admin.token in the data folder of the hub.',
  },
  TOO_MANY_FAILURES: {
    side: 'caller',
    retry: 'soon',
    means: 'Too many calls with a wrong token came from {address}.',
    next: 'Wait {wait}, then call with the right token.',
  },
  TOKEN_FILE_OPEN: {
    side: 'hub',
    retry: 'never',
    means: 'The file {file} with the admin token can be read by other users of this machine (mode {mode}).',
    next: 'Run chmod 600 {file}; if others may have read it, delete the file instead and start again for a new token.',
  },
  TOKEN_FILE_BAD: {
    side: 'hub',
    retry: 'never',
    means: 'The file {file} does not hold an admin token.',
    next: 'Delete the file and start again; the hub makes a new token.',
  },
  REQUEST_MALFORMED: {
    side: 'caller',
    retry: 'never',
    means: 'The request is not acceptable HTTP: {text}',
    next: 'Send one Host header, one Authorization header and a path that begins with a slash and has whole percent escapes.',
  },
  REQUEST_INVALID: {
    side: 'caller',
    retry: 'never',
    means: 'The request does not fit: {text}',
    next: 'Compare it with /api/openapi.json.',
  },
  ROUTE_UNKNOWN: {
    side: 'caller',
    retry: 'never',
    means: 'There is nothing at {method} {path}.',
    next: 'See /api/openapi.json for what there is.',
  },
  TYPE_UNSUPPORTED: {
    side: 'caller',
    retry: 'never',
    means: 'A body of type {type} is not read here.',
    next: 'Send JSON with content-type: application/json.',
  },
  BODY_TOO_LARGE: {
    side: 'caller',
    retry: 'never',
    means: 'The body of the request is above {bytesMax} bytes.',
    next: 'Send less, or raise the limit in isthmus.yaml.',
  },
  FLOW_UNKNOWN: {
    side: 'caller',
    retry: 'never',
    means: 'There is no flow document {flow}.',
    next: 'List the flows with isthmus flow list; folders with flows are named under flows in isthmus.yaml.',
  },
  TOO_MANY_FOLLOWERS: {
    side: 'caller',
    retry: 'soon',
    means: '{count} callers follow the log already.',
    next: 'End one of them, or read the newest lines without follow.',
  },
  TICKET_UNKNOWN: {
    side: 'caller',
    retry: 'never',
    means: 'This link to sign in was used already or is older than ten minutes.',
    next: 'Ask for a new one: isthmus credential authorise, or Credentials in the console.',
  },
  BASE64_INVALID: {
    side: 'caller',
    retry: 'never',
    means: 'The field body.base64 is not base64.',
    next: 'Encode the bytes with standard base64, without line ends.',
  },
})
