import { TextDecoder } from 'node:util'
import { idocErrors } from './errors.ts'
import { flatFileLimits } from './flat-file.ts'

/** The lines of a flat file, piece by piece, without their ends. `charset`: of the Content-Type; UTF-8 when left out. Throws IDOC_FLAT_FILE. */
export async function* readLines(source: AsyncIterable<Uint8Array>, charset = 'utf-8'): AsyncGenerator<string> {
  let decoder: TextDecoder
  try {
    decoder = new TextDecoder(charset, { fatal: true })
  } catch (cause) {
    throw idocErrors.FLAT_FILE({ record: 1, text: `the encoding ${charset.slice(0, 40)} is not read` }, { cause })
  }
  let record = 0
  let open = ''
  const decode = (chunk: Uint8Array, stream: boolean) => {
    try {
      return decoder.decode(chunk, { stream })
    } catch (cause) {
      throw idocErrors.FLAT_FILE({ record: record + 1, text: `a byte that is no ${decoder.encoding}` }, { cause })
    }
  }
  for await (const chunk of source) {
    const lines = (open + decode(chunk, true)).split('\n')
    open = lines.pop() ?? ''
    for (const line of lines) {
      record += 1
      yield withoutReturn(line)
    }
    if (open.length > flatFileLimits.lineLength) {
      throw idocErrors.FLAT_FILE({
        record: record + 1,
        text: `it is longer than ${flatFileLimits.lineLength} characters`,
      })
    }
  }
  open += decode(new Uint8Array(), false)
  if (open !== '') yield withoutReturn(open)
}

function withoutReturn(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line
}
