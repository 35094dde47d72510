import { keepDirections } from './directions.ts'

/** Headers as lines that people edit: `name: value`. A value of several lines goes on in lines that begin with a tab. */
export function linesOfHeaders(headers: Readonly<Record<string, string>>): string {
  return Object.entries(headers)
    .map(([name, value]) => `${name}: ${value.replaceAll(/\r\n|\r|\n/g, '\n\t')}`)
    .join('\n')
}

/** The headers in such lines, or the first line that is none. */
export function headersOfLines(text: string): Readonly<Record<string, string>> | { readonly wrongLine: number } {
  const headers = new Map<string, string>()
  let last: string | undefined
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue
    if (line.startsWith('\t') && last !== undefined) {
      headers.set(last, `${headers.get(last) ?? ''}\n${line.slice(1)}`)
      continue
    }
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).trim()
    if (colon <= 0 || name === '' || headers.has(name)) return { wrongLine: index + 1 }
    headers.set(name, line.slice(colon + 1).trim())
    last = name
  }
  return Object.fromEntries([...headers].map(([name, value]) => [name, keepDirections(value)]))
}
