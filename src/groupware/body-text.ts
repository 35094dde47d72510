import { decodeHTMLStrict } from 'entities/decode'
import type { Body } from './plan/items.ts'

/** Line ends as the items have them, without blanks at the ends of lines that mail servers add and drop. */
export function plainLines(text: string): string {
  const lines = text.replace(/\r\n?/g, '\n').split('\n')
  return lines
    .map(line => line.trimEnd())
    .join('\n')
    .trimEnd()
}

/** At most so many of the units that services count, without the half of a letter that takes two. */
export function cutText(text: string, lettersMax: number): string {
  return text.slice(0, lettersMax).replace(/[\uD800-\uDBFF]$/, '')
}

/** A body as text: for sides that hold no other. */
export function asText({ type, content }: Body): Body {
  return { type: 'text', content: plainLines(type === 'text' ? content : textOfHtml(content)) }
}

/** What is the same in a mail whether it came as text or as HTML: its words, line by line. */
export function asWords(body: Body): Body {
  const lines = asText(body)
    .content.split('\n')
    .map(line => line.replace(/\s+/g, ' ').trim())
  return { type: 'text', content: lines.join('\n').trim() }
}

/** What a person reads in a piece of HTML, line by line. Takes time in proportion to its length. */
export function textOfHtml(html: string): string {
  const pieces: string[] = []
  let from = 0
  let hidden: string | undefined
  const take = (to: number) => {
    if (hidden === undefined && to > from) pieces.push(flowing(html.slice(from, to)))
  }
  for (let at = html.indexOf('<'); at >= 0; at = html.indexOf('<', Math.max(from, at + 1))) {
    if (html.startsWith('<!--', at)) {
      take(at)
      const end = html.indexOf('-->', at + 4)
      // A comment without an end hides all that follows, as browsers have it.
      from = end < 0 ? html.length : end + 3
      continue
    }
    tagPattern.lastIndex = at
    const [whole, slash, rawName = ''] = tagPattern.exec(html) ?? []
    if (whole === undefined) continue
    take(at)
    from = at + whole.length
    const name = rawName.toLowerCase()
    if (hidden === undefined && slash === '' && hiding.has(name)) hidden = name
    else if (hidden === name && slash === '/') hidden = undefined
    else if (hidden === undefined && (name === 'br' || (blocks.has(name) && slash === '/'))) pieces.push('\n')
  }
  take(html.length)
  return pieces
    .join('')
    .split('\n')
    .map(line => line.replace(/^[ \t]+/, ''))
    .join('\n')
    .replace(/^\n+/, '')
}

const tagPattern = /<(\/?)([a-zA-Z][a-zA-Z0-9]*)(?:\s[^<>]*)?\/?>/y
const hiding: ReadonlySet<string> = new Set(['style', 'script', 'head', 'title'])
const blocks: ReadonlySet<string> = new Set([
  'p',
  'div',
  'li',
  'tr',
  'h1',
  'h2',
  'h3',
  'h4',
  'h5',
  'h6',
  'pre',
  'table',
  'ul',
  'ol',
])

/** Text between tags: white space flows together, references (HTML 5 section 13.5) are what they stand for. */
function flowing(text: string): string {
  return decodeHTMLStrict(text.replace(/[\r\n\t ]+/g, ' ').replaceAll('&nbsp;', ' '))
}
