/**
 * Characters that turn the letters behind them around (Unicode Bidirectional Algorithm, explicit embeddings, overrides
 * and isolates) as escapes: `invoice\u202Efdp.exe` must not be read as `invoiceexe.pdf`. Marks that belong to
 * writing from right to left stay.
 */
export function showDirections(text: string): string {
  return text.replace(
    /[\u202A-\u202E\u2066-\u2069]/g,
    letter => `\\u${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

/** Such a text as it was: for one that people change and send back. */
export function keepDirections(shown: string): string {
  return shown.replace(/\\u(202[A-E]|206[6-9])/g, (_escape, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  )
}

/** JSON of the hub, whose values may come from anybody. */
export function readJson(text: string): unknown {
  return JSON.parse(text, (_name, value: unknown) => (typeof value === 'string' ? showDirections(value) : value))
}
