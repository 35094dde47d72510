/** A Content-Type (RFC 2045 section 5.1): media type in lower case, parameters with names in lower case. */
export interface ContentType {
  readonly type: string
  readonly parameters: ReadonlyMap<string, string>
}

/** Reads a Content-Type; never fails, odd ones give less. The first of repeated parameters counts. */
export function parseContentType(text: string): ContentType {
  const parameters = new Map<string, string>()
  const semicolonAt = text.indexOf(';')
  const type = (semicolonAt < 0 ? text : text.slice(0, semicolonAt)).trim().toLowerCase()
  if (semicolonAt < 0) return { type, parameters }
  for (const [, name = '', quoted, plain = ''] of text
    .slice(semicolonAt, semicolonAt + parameterLetters)
    .matchAll(/;\s*([^=;\s"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))/g)) {
    const known = name.toLowerCase()
    if (!parameters.has(known)) parameters.set(known, quoted === undefined ? plain : quoted.replace(/\\(.)/g, '$1'))
  }
  return { type, parameters }
}

/** Letters of parameters that are looked at. */
const parameterLetters = 4096
