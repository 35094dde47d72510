import type { Scope } from '../flow/expression.ts'
import { httpErrors } from './http-errors.ts'
import { isFixedPiece, splitTemplate, type TemplatePiece } from './template-pieces.ts'

export interface RenderedUrl {
  readonly url: URL
  /** True when the message had a say in the host: then the address guard decides. */
  readonly isHostChosen: boolean
}

const wholeOrigin = /^https?:\/\/[^/?#\\]+[/?#]/i

/**
 * A url with `${…}` parts. Once the host stands, values of the message are percent-encoded, so that they can add
 * neither path segments nor query fields; a message that chooses the host chooses the rest too.
 */
export class UrlTemplate {
  /** The literal text before the first part. */
  readonly start: string
  /** True when the text leaves the host to the message, as far as can be said without rendering. */
  readonly mayChooseHost: boolean
  readonly #pieces: readonly TemplatePiece[]

  constructor(text: string) {
    this.#pieces = splitTemplate(text)
    const [first] = this.#pieces
    this.start = first && 'literal' in first ? first.literal : ''
    const isWholeFixed = this.#pieces.every(isFixedPiece)
    this.mayChooseHost = !isWholeFixed && !/^([a-z]+:\/\/|\0)[^/?#\\]*[/?#]/i.test(this.#fixedStart())
  }

  /** The url of one message. Throws HTTP_URL_REFUSED. */
  async render(scope: Scope): Promise<RenderedUrl> {
    let text = ''
    let isHostChosen = false
    for (const piece of this.#pieces) {
      if ('literal' in piece) {
        text += piece.literal
        continue
      }
      const value = textOf(await piece.template.render(scope))
      if (piece.template.isFixed) text += value
      else if (!isHostChosen && wholeOrigin.test(text)) text += encodeURIComponent(value)
      else {
        isHostChosen = true
        text += value
      }
    }
    return { url: parseUrl(text), isHostChosen }
  }

  /** What stands before the first part of the message; other parts count as one letter NUL. */
  #fixedStart(): string {
    const end = this.#pieces.findIndex(piece => !isFixedPiece(piece))
    const before = this.#pieces.slice(0, end < 0 ? undefined : end)
    return before.map(piece => ('literal' in piece ? piece.literal : '\0')).join('')
  }
}

function parseUrl(text: string): URL {
  const path = text.replace(/^[a-z]+:\/\/[^/?#\\]*/i, '').split(/[?#]/)[0] ?? ''
  // Dot segments in any spelling lead out of the path that the flow names.
  if (/(^|[/\\]|%2f|%5c)(\.|%2e){1,2}($|[/\\]|%2f|%5c)/i.test(path)) {
    throw httpErrors.URL_REFUSED({ reason: 'its path has a dot segment' })
  }
  const url = URL.parse(text)
  if (!url) throw httpErrors.URL_REFUSED({ reason: `"${text.slice(0, 200)}" is no url` })
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    throw httpErrors.URL_REFUSED({ reason: `it is of kind ${url.protocol}, not https: or http:` })
  }
  if (url.username !== '' || url.password !== '') throw httpErrors.URL_REFUSED({ reason: 'it carries a user' })
  url.hash = ''
  return url
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return String(value)
  throw httpErrors.URL_REFUSED({ reason: 'a part of it is no text' })
}
