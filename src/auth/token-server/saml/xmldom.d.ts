/** The little that is used of @xmldom/xmldom; its own types bring those of a browser into the whole program. */
export interface Element {
  readonly localName: string
  readonly namespaceURI: string | null
  readonly childNodes: { readonly length: number; item(index: number): Element }
}

export class DOMParser {
  constructor(options: { readonly errorHandler: (level: string, text: string) => void })
  parseFromString(text: string, type: 'text/xml'): { readonly documentElement: Element }
}
