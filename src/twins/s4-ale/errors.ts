import { defineErrors } from '../../kernel/error.ts'

export const aleTwinErrors = defineErrors('TWINALE', {
  NO_SUCH_FIELD: {
    side: 'caller',
    retry: 'never',
    means: 'The twin has no field {table}-{field}.',
    next: 'Use the fields of src/twins/s4-ale/tables.ts.',
  },
  TOO_LONG: {
    side: 'caller',
    retry: 'never',
    means: '{table}-{field} holds {length} letters, and "{value}" has more.',
    next: 'Give a shorter value.',
  },
  NO_SUCH_ROW: {
    side: 'caller',
    retry: 'never',
    means: '{table} has no row {key}.',
    next: 'Create it first, or correct its key.',
  },
  ROW_EXISTS: {
    side: 'caller',
    retry: 'never',
    means: '{table} has a row {key} already.',
    next: 'Change it instead.',
  },
  NO_CHANGE: {
    side: 'caller',
    retry: 'never',
    means: 'The request is no change of master data: {text}',
    next: 'Send a JSON object: change (a table) with key and row, create with row, or remove with key.',
  },
  NO_DESTINATION: {
    side: 'caller',
    retry: 'never',
    means: 'The twin knows no destination {name}.',
    next: 'Give it with setDestination before something is sent there.',
  },
  NO_SUCH_IDOC: {
    side: 'caller',
    retry: 'never',
    means: 'The twin has no IDoc {docnum}.',
    next: 'Ask for a number that idocs() shows.',
  },
  ODD_ANSWER: {
    side: 'caller',
    retry: 'never',
    means: 'The answer of {url} is none that S/4HANA takes: {text}',
    next: 'Look at what the other side sent.',
  },
})
