import { useState } from 'react'
import type { Typed } from '../words/form.ts'

export interface Edit {
  readonly typed: Typed
  readonly isTouched: boolean
  /** That of when somebody began to type: a change by others meanwhile is not overwritten. */
  readonly revision: number
  type(typed: Typed): void
  forget(): void
}

/** What somebody types into a form over something of this revision. */
export function useEdit(revision: number): Edit {
  const [edit, setEdit] = useState<{ readonly typed: Typed; readonly revision: number }>()
  return {
    typed: edit?.typed ?? {},
    isTouched: edit !== undefined,
    revision: edit?.revision ?? revision,
    type: typed => setEdit(before => ({ typed, revision: before?.revision ?? revision })),
    forget: () => setEdit(undefined),
  }
}
