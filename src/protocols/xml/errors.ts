import { defineErrors } from '../../kernel/error.ts'

export const xmlErrors = defineErrors('XML', {
  MALFORMED: {
    side: 'sender',
    retry: 'never',
    means: 'The XML is broken at line {line}, column {column}: {text}.',
    next: 'Correct it where it was written; the message is kept as it came.',
  },
  REFUSED: {
    side: 'sender',
    retry: 'never',
    means: 'The XML holds {what} at line {line}, column {column}, which is never read.',
    next: 'Send it without; DTDs and entities of their own are a way to read files and to fill memory.',
  },
  TOO_LARGE: {
    side: 'sender',
    retry: 'never',
    means: 'The XML goes beyond the limit {limit} of {max} at line {line}, column {column}.',
    next: 'Send smaller documents, or split them; the limit keeps one message from taking the memory of all.',
  },
  ENCODING: {
    side: 'sender',
    retry: 'never',
    means: 'The XML is not valid {encoding} ({text}).',
    next: 'Send UTF-8, or name the encoding that it really has in the XML declaration or the Content-Type.',
  },
})
