import { z } from 'zod'
import { defineReceiver, type Effect, type Receipt } from '../flow/adapter.ts'
import type { ReceiverNode } from '../flow/document.ts'
import type { Template } from '../flow/expression.ts'
import { templateSchema } from '../flow/expression-schema.ts'
import { renderValue, type ValueTemplate } from '../flow/value-template.ts'
import { defineErrors } from '../kernel/error.ts'
import type { Json } from '../kernel/json.ts'
import { type KeyMap, keyMapLimits } from '../kernel/key-map.ts'

export const keyMapErrors = defineErrors('KEYMAP', {
  KEY_UNFIT: {
    side: 'flow',
    retry: 'never',
    means: 'The key for {map} is {shown}, which is no key: {reason}.',
    next: 'Look at the template of key in the flow, and at the part of the message that it takes.',
  },
  VALUE_TOO_LARGE: {
    side: 'flow',
    retry: 'never',
    means: 'The value for {key} in {map} is {bytes} bytes, above the limit of {bytesMax}.',
    next: 'Keep what later messages need, such as an id; the message itself stays in the hub as long as keep says.',
  },
  NOT_YET: {
    side: 'sender',
    retry: 'soon',
    means: '{map} has nothing under {key} yet.',
    next: 'Nothing, the hub tries again until another message has brought it; or set it with isthmus keymap set.',
  },
})

export const mapName = z
  .string()
  .regex(/^[A-Za-z0-9_.@:-]{1,128}$/, 'the name of a key map: letters, digits, dot, hyphen, underscore, @')
  .meta({ title: 'key map', description: 'Name of the key map; all flows share them.', examples: ['accounts'] })

export const mapKey = templateSchema.meta({
  description: 'The key, a text or a number.',
  examples: ['${message.body.KUNNR}'],
})

/** What the two steps ask of the key map. */
interface Access {
  readonly map: string
  readonly key: Template
  /** What is written; null for a lookup. */
  readonly write: { readonly value: ValueTemplate } | { readonly forget: true } | null
  readonly waits: boolean
}

const config = z.custom<Access>()

/**
 * The key map as a receiver inside a step, so that what it did has a receipt like every effect: a write commits together
 * with it, and a lookup gives the same over all attempts of a delivery, whatever is written meanwhile.
 */
const keyMapAccess = defineReceiver({
  id: 'key-map',
  title: 'Key map',
  summary: 'Reads and writes what flows keep of a key.',
  answers: true,
  config,
  examples: [],
  errors: keyMapErrors,
  async open({ config: access, keyMap }) {
    return {
      deliver: (_message, effect) => use(access, keyMap, effect),
      check: async () => ({ ok: true as const, detail: `key map ${access.map}` }),
      close: async () => {},
    }
  },
})

export function accessNode(access: Access): ReceiverNode {
  return { declaration: keyMapAccess, config: access, path: `key map ${access.map}` }
}

/** What a lookup found, out of its receipt; undefined when there was nothing. */
export function foundIn({ fields }: Receipt): Json | undefined {
  return fields?.['found'] === true ? (fields['value'] ?? null) : undefined
}

async function use(
  { map, key, write, waits }: Access,
  keyMap: KeyMap | undefined,
  { scope }: Effect,
): Promise<Receipt> {
  const text = keyText(map, await key.render(scope))
  if (write) {
    const value = 'value' in write ? await renderValue(write.value, scope) : undefined
    const bytes = value === undefined ? 0 : Buffer.byteLength(JSON.stringify(value))
    const bytesMax = keyMapLimits.valueBytes
    if (bytes > bytesMax) throw keyMapErrors.VALUE_TOO_LARGE({ map, key: text, bytes, bytesMax })
    const summary = value === undefined ? `${text} forgotten in ${map}` : `${text} remembered in ${map}`
    return { summary, remember: [{ map, key: text, value }] }
  }
  const entry = await keyMap?.get(map, text)
  if (!entry && waits) throw keyMapErrors.NOT_YET({ map, key: text })
  return entry
    ? { isQuestion: true, summary: `${text} found in ${map}`, fields: { found: true, value: entry.value } }
    : { isQuestion: true, summary: `${map} has nothing under ${text}`, fields: { found: false } }
}

function keyText(map: string, value: Json): string {
  const text = typeof value === 'string' ? value : typeof value === 'number' ? String(value) : ''
  const reason =
    text === ''
      ? 'a key is a text or a number'
      : text.length > keyMapLimits.keyLetters
        ? `it is longer than ${keyMapLimits.keyLetters} letters`
        : undefined
  if (reason === undefined) return text
  throw keyMapErrors.KEY_UNFIT({ map, shown: JSON.stringify(value).slice(0, 60), reason })
}
