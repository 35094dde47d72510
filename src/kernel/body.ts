import { defineErrors } from './error.ts'
import { hasTooManyGroups, jsonLimits } from './json.ts'

/** The bytes of a message. They may be larger than memory, so they are read as a stream, as often as needed. */
export interface Body {
  readonly bytes: number
  /** Media type as the sender named it, for example `message/rfc822`. */
  readonly type: string
  /** The bytes themselves where they are at hand (small bodies); undefined where they must be streamed. */
  readonly held: Uint8Array | undefined
  /**
   * A fresh pass over the bytes. A reader that lets go of each piece before it asks for the next may lend memory for
   * them: pieces can then be windows `into` it, and however large the body is, it takes no more memory than that.
   */
  stream(into?: Uint8Array): AsyncIterable<Uint8Array>
}

export const bodyErrors = defineErrors('BODY', {
  TOO_LARGE: {
    side: 'flow',
    retry: 'never',
    means: 'A body of {bytes} bytes is above the limit of {bytesMax} bytes for {purpose}.',
    next: 'Raise the named limit in isthmus.yaml, or keep such messages out with a filter on message.size.',
  },
  NOT_TEXT: {
    side: 'sender',
    retry: 'never',
    means: 'The body is not valid {format}: {text}',
    next: 'Look at the message (isthmus message show), correct it at its source or repair it here, then replay it.',
  },
})

/** Throws BODY_NOT_TEXT for JSON of more lists and groups than are read. */
export function refuseTooManyGroups(text: string, format = 'JSON'): void {
  if (hasTooManyGroups(text)) {
    throw bodyErrors.NOT_TEXT({ format, text: `it has more than ${jsonLimits.groups} lists and groups` })
  }
}

/** A body that lies in memory. */
export function heldBody(content: Uint8Array | string, type: string): Body {
  const held = typeof content === 'string' ? Buffer.from(content) : content
  return {
    bytes: held.length,
    type,
    held,
    async *stream() {
      yield held
    },
  }
}

/** All bytes of a body; throws BODY_TOO_LARGE before it reads more than `bytesMax`. `purpose` names the limit. */
export async function readBody(body: Body, bytesMax: number, purpose: string): Promise<Uint8Array> {
  if (body.bytes > bytesMax) throw bodyErrors.TOO_LARGE({ bytes: body.bytes, bytesMax, purpose })
  if (body.held) return body.held
  const chunks: Uint8Array[] = []
  for await (const chunk of body.stream()) chunks.push(chunk)
  return Buffer.concat(chunks)
}
