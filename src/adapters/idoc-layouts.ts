import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { z } from 'zod'
import type { FlatLayouts } from '../protocols/idoc/flat-file.ts'
import { idocAdapterErrors } from './idoc-errors.ts'

/** A segment definition has at most 1,000 characters (EDI_DD40-SDATA). */
const dataLength = 1000

const layouts = z.record(
  z.string().regex(/^[A-Z0-9_/]{1,30}$/, 'the name of a segment definition: E2MARAM009'),
  z.strictObject({
    type: z.string().regex(/^[A-Z0-9_/]{1,30}$/, 'the name of a segment type: E1MARAM'),
    fields: z
      .array(
        z
          .strictObject({
            name: z.string().regex(/^[A-Z0-9_/]{1,30}$/, 'the name of a field'),
            offset: z.int().min(0).max(dataLength),
            length: z.int().min(1).max(dataLength),
          })
          .refine(({ offset, length }) => offset + length <= dataLength, `it goes beyond ${dataLength} characters`),
      )
      .min(1),
  }),
)

/** Layouts of segments by definition, from a JSON file beside the flow. Throws IDOC_LAYOUTS_UNREADABLE. */
export async function readLayouts(folder: string, file: string): Promise<FlatLayouts> {
  try {
    const parsed = layouts.safeParse(JSON.parse(await readFile(resolve(folder, file), 'utf8')))
    if (parsed.success) return parsed.data
    const [issue] = parsed.error.issues
    throw new TypeError(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw idocAdapterErrors.LAYOUTS_UNREADABLE({ file, reason: reason.slice(0, 300) }, { cause })
  }
}
