import { readBody } from '../kernel/body.ts'
import type { JsonObject } from '../kernel/json.ts'
import type { Limits } from '../kernel/limit.ts'
import type { Message } from '../kernel/message.ts'
import { createOnlyKey, type Mapping, unlinkedKey } from '../mapping/mapping.ts'
import { readSource } from '../mapping/read-source.ts'
import { withJson } from './change-message.ts'
import { loadModule } from './load-module.ts'
import { mapErrors } from './mapping-module.ts'

/** Loads what defineMapping made. Throws MAP_MODULE_BROKEN. */
export async function loadMappingSpec(file: string, name: string): Promise<Mapping> {
  let loaded: object
  try {
    loaded = await loadModule(file)
  } catch (cause) {
    throw mapErrors.MODULE_BROKEN(
      { module: file, text: cause instanceof Error ? cause.message : String(cause) },
      { cause },
    )
  }
  const mapping: unknown = Reflect.get(loaded, name)
  if (!isMapping(mapping))
    throw mapErrors.MODULE_BROKEN({ module: file, text: `its export ${name} is not made with defineMapping` })
  return mapping
}

/** Maps the body; the new one is JSON with the fields of the target, and those for new records under `@create`. */
export async function runMappingSpec(
  mapping: Mapping,
  message: Message,
  {
    settings,
    limits,
    warn,
  }: { settings: Readonly<Record<string, string>>; limits: Limits; warn: (text: string) => void },
): Promise<Message> {
  const bytes = await readBody(message.body, limits.parseBytes, 'mapping a body (parseBytes)')
  const source = readSource(mapping.source, bytes, message.body.type)
  const { values, createOnly, unlinked, warnings } = mapping.run(source, { settings })
  for (const text of warnings) warn(text)
  const body: JsonObject = {
    ...values,
    ...(Object.keys(createOnly).length > 0 && { [createOnlyKey]: createOnly }),
    ...(Object.keys(unlinked).length > 0 && { [unlinkedKey]: unlinked }),
  }
  return withJson(message, body)
}

function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && 'run' in value && 'rules' in value && value.rules instanceof Map
}
