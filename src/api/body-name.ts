/** The endings under which programs know what they open. */
const endings: readonly (readonly [RegExp, string])[] = [
  [/^message\/rfc822$/, 'eml'],
  [/^(application\/([\w.-]+\+)?json|text\/json)$/, 'json'],
  [/^((application|text)\/xml|application\/[\w.-]+\+xml|application\/x-sap\.idoc)$/, 'xml'],
  [/^text\/csv$/, 'csv'],
  [/^text\/html$/, 'html'],
  [/^text\/plain$/, 'txt'],
  [/^application\/pdf$/, 'pdf'],
  [/^application\/(x-)?gzip$/, 'gz'],
  [/^application\/zip$/, 'zip'],
]

/** Under which name a body is saved: its flow, when the message was accepted, and an ending that fits; letters that every system takes. */
export function nameBody(message: { readonly flow: string; readonly acceptedAt: number }, type: string): string {
  const mediaType = type.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  const ending = endings.find(([pattern]) => pattern.test(mediaType))?.[1] ?? 'bin'
  const at = new Date(message.acceptedAt).toISOString().replaceAll(':', '-')
  return `${message.flow.replace(/[^\w.-]/g, '-')}-${at}.${ending}`
}
