import { SaxesParser } from 'saxes'
import { HubError } from '../../kernel/error.ts'
import { KiB, MiB } from '../../kernel/size.ts'
import { xmlErrors } from './errors.ts'

export const xmlLimits = {
  /** Elements inside each other. */
  depth: 100,
  /** Elements of one record (an IDoc, a payload). */
  elements: 500_000,
  /** Characters of one text. */
  textLength: 16 * MiB,
  attributes: 200,
  nameLength: 1000,
  /** Characters of all attributes of one element. */
  attributesLength: 64 * KiB,
} as const

export type XmlLimits = { readonly [K in keyof typeof xmlLimits]: number }

/** What a reader hears. Names come as they stand (with prefix); texts of one element come as one, decoded. */
export interface XmlListener {
  open(name: string, attributes: Readonly<Record<string, string>>, isSelfClosing: boolean): void
  text(text: string): void
  close(name: string): void
}

/**
 * A strict, streaming XML reader: not well-formed is refused with line and column, a DTD is refused before anything of it
 * counts, and every size has a limit. Throws the errors of area XML.
 */
export function createXmlReader(listener: XmlListener, limits: Partial<XmlLimits> = {}) {
  const {
    depth: depthMax,
    elements,
    textLength,
    attributes,
    nameLength,
    attributesLength,
  } = { ...xmlLimits, ...limits }
  // A document of XML 1.1 is read by the rules of 1.0: references to controls (&#1;) could not be written again.
  const parser = new SaxesParser({ xmlns: false, position: true, defaultXMLVersion: '1.0', forceXMLVersion: true })
  let depth = 0
  let elementCount = 0
  let waiting = ''

  const place = () => ({ line: parser.line, column: parser.column })
  const tooLarge = (limit: string, max: number) => xmlErrors.TOO_LARGE({ limit, max, ...place() })
  const giveText = () => {
    if (waiting === '') return
    const text = waiting
    waiting = ''
    listener.text(text)
  }
  const hearText = (text: string) => {
    if (depth === 0) return
    waiting = waiting === '' ? text : waiting + text
    if (waiting.length > textLength) throw tooLarge('textLength', textLength)
  }

  // Whoever reads on behind an & that begins no reference swallows tags until the next semicolon, and then complains of
  // something far away: so the place of such an & is kept until the reader has come past it in good order.
  let bareAmpersand: { readonly position: number; readonly line: number; readonly column: number } | undefined
  /** Letters given to the parser, which itself counts wrong between two pieces. */
  let written = 0
  const passed = () => {
    if (bareAmpersand && parser.position > bareAmpersand.position) bareAmpersand = undefined
  }
  const lookForAmpersand = (text: string) => {
    if (bareAmpersand || !text.includes('&')) return
    const at = text.search(bareAmpersandPattern)
    if (at < 0) return
    const lines = text.slice(0, at).split(/\r\n|\r|\n/)
    const last = lines.at(-1)?.length ?? 0
    const column = lines.length === 1 ? parser.column + last : last
    bareAmpersand = { position: written + at, line: parser.line + lines.length - 1, column }
  }

  parser.on('error', error => {
    if (error instanceof HubError) throw error
    // What is wrong before it has another reason.
    if (bareAmpersand && parser.position > bareAmpersand.position) {
      const { line, column } = bareAmpersand
      throw xmlErrors.MALFORMED({ line, column, text: 'an & that begins no reference; write &amp;' }, { cause: error })
    }
    throw xmlErrors.MALFORMED({ ...place(), text: plainText(error.message) }, { cause: error })
  })
  parser.on('doctype', () => {
    throw xmlErrors.REFUSED({ what: 'a document type declaration', ...place() })
  })
  parser.on('opentag', tag => {
    passed()
    giveText()
    depth += 1
    elementCount += 1
    if (depth > depthMax) throw tooLarge('depth', depthMax)
    if (elementCount > elements) throw tooLarge('elements', elements)
    if (tag.name.length > nameLength) throw tooLarge('nameLength', nameLength)
    const own: Readonly<Record<string, string>> = tag.attributes
    let count = 0
    let length = 0
    for (const name in own) {
      count += 1
      length += name.length + (own[name]?.length ?? 0)
    }
    if (count > attributes) throw tooLarge('attributes', attributes)
    if (length > attributesLength) throw tooLarge('attributesLength', attributesLength)
    listener.open(tag.name, own, tag.isSelfClosing)
  })
  parser.on('text', hearText)
  parser.on('cdata', text => {
    passed()
    hearText(text)
  })
  parser.on('comment', passed)
  parser.on('closetag', tag => {
    passed()
    giveText()
    depth -= 1
    listener.close(tag.name)
  })

  return {
    write(text: string): void {
      lookForAmpersand(text)
      parser.write(text)
      written += text.length
    },
    /** The document ends here; throws when it must not. */
    end(): void {
      parser.close()
    },
    /** Where the reader is, both counted from 1 and 0 as editors and saxes do. */
    place,
    /** Counts elements anew: a packet of many records is limited by record. */
    beginRecord(): void {
      elementCount = 0
    },
  }
}

/** An & behind which neither a reference stands nor, cut by the end of a piece, the beginning of one. */
const bareAmpersandPattern = /&(?!(?:#[0-9]+|#x[0-9a-fA-F]+|[A-Za-z_:][\w:.-]*);|[#\w:.-]*$)/

/** `12:7: unclosed tag: b` without the place, which the error says itself. */
function plainText(message: string): string {
  return message
    .replace(/^\d+:\d+:\s*/, '')
    .replace(/\.$/, '')
    .slice(0, 300)
}

/** The name without its prefix. */
export function localName(name: string): string {
  const at = name.indexOf(':')
  return at < 0 ? name : name.slice(at + 1)
}
