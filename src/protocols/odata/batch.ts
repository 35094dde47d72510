/** One request of a batch. `path` is relative to the root of the service, percent-encoded, with its query. */
export interface BatchRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'MERGE' | 'DELETE'
  readonly path: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** JSON text. */
  readonly body?: string | undefined
}

/** A request alone, or several that are done together or not at all. */
export type BatchPart = { readonly request: BatchRequest } | { readonly changeset: readonly BatchRequest[] }

export interface BatchAnswer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/** Answers in the order of the parts; a changeset that failed has one answer for all, which says why. */
export type BatchResult =
  | { readonly answer: BatchAnswer }
  | { readonly answers: readonly BatchAnswer[] }
  | { readonly failed: BatchAnswer }

/** A batch as it is sent, and the way to read what comes back. `read` throws an Error that says what is wrong. */
export interface BatchForm {
  readonly type: string
  readonly body: string
  read(type: string, body: Uint8Array): readonly BatchResult[]
}

export function isOk({ status }: BatchAnswer): boolean {
  return status >= 200 && status < 300
}

/** Why an answer does not fit its batch. */
export class BatchMismatch extends Error {}
