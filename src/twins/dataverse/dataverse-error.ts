import type { JsonObject } from '../../kernel/json.ts'

/** An answer of the twin. Header names in lower case. */
export interface DataverseAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: JsonObject | string | undefined
}

/** A refusal as Dataverse words it: `code` is a hexadecimal number, or empty, which is common. */
export class DataverseError extends Error {
  readonly status: number
  readonly code: string
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, code: string, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message)
    this.status = status
    this.code = code
    this.headers = headers
  }
}

export function answerError({ status, code, message, headers }: DataverseError): DataverseAnswer {
  return {
    status,
    headers: { 'content-type': 'application/json; odata.metadata=minimal', 'odata-version': '4.0', ...headers },
    body: { error: { code, message } },
  }
}

export const refusals = {
  /** A name or a JSON type that the model does not have. */
  payload: (message: string) =>
    new DataverseError(
      400,
      '0x80048d19',
      `Error identified in Payload provided by the user for Entity :'', InnerException : ${message}`,
    ),
  value: (code: string, message: string) => new DataverseError(400, code, message),
  readOnly: () => new DataverseError(400, '', 'Cannot Update a Read-Only Entity'),
  lineReadOnly: () => new DataverseError(400, '', 'The detail cannot be updated because the parent is not editable.'),
  query: (message: string) => new DataverseError(400, '0x80060888', message),
  segment: (name: string) => new DataverseError(404, '0x8006088a', `Resource not found for the segment '${name}'.`),
  noRecord: (table: string, id: string) =>
    new DataverseError(404, '0x80040217', `${table} With Id = ${id} Does Not Exist`),
  noKey: (table: string) =>
    new DataverseError(404, '0x80060891', `A record with the specified key values does not exist in ${table} entity`),
  exists: () => new DataverseError(412, '0x80040237', 'A record with matching key values already exists.'),
  keyTaken: (key: string) =>
    new DataverseError(
      412,
      '0x80060892',
      `A record that has the attribute values ${key} already exists. The entity key requires that this set of attributes contains unique values. Select unique values and try again.`,
    ),
  version: () =>
    new DataverseError(
      412,
      '0x80060882',
      "The version of the existing record doesn't match the RowVersion property provided.",
    ),
}
