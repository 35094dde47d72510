import type { LoadedFlow } from '../flow/document.ts'
import { heldBody, readBody } from '../kernel/body.ts'
import type { JsonObject } from '../kernel/json.ts'
import type { Limits } from '../kernel/limit.ts'
import type { Message } from '../kernel/message.ts'
import type { Claimed, DeliveryDetail, StoredReceipt } from '../store/port.ts'

/** What a result is filed under among the receipts of its delivery. */
const effect = 'result'

/**
 * The result of a delivery as a receipt, which becomes durable together with the end: whoever asks again, also after a
 * restart, gets the same answer. Undefined where the sender waits for nothing, and for a result above keptResultBytes.
 */
export async function keepResult(
  flow: LoadedFlow,
  { attributes, isProbe }: Pick<Claimed, 'attributes' | 'isProbe'>,
  { result, at, limits }: { readonly result: Message; readonly at: number; readonly limits: Limits },
): Promise<StoredReceipt | undefined> {
  const { declaration, config } = flow.from
  if (isProbe || !declaration.keepsResult?.(config, attributes)) return undefined
  const { body, headers } = result
  // What the sender gave is kept anyway.
  const own = Object.entries(result.attributes).filter(([name, value]) => attributes[name] !== value)
  if (body.bytes > limits.keptResultBytes) return undefined
  const bytes = await readBody(body, limits.keptResultBytes, 'keeping a result (keptResultBytes)')
  const summary = `the result, kept for whoever asks again (${body.bytes} bytes)`
  const answer = { headers, type: body.type, body: bytes }
  const fields = own.length > 0 ? { attributes: Object.fromEntries(own) } : undefined
  return { effect, state: 'done', at, summary, fields, answer }
}

/** The result that was kept with a delivery. */
export function keptResult({
  id,
  receipts,
  attributes,
  acceptedAt,
}: Pick<DeliveryDetail, 'id' | 'receipts' | 'attributes' | 'acceptedAt'>): Message | undefined {
  const receipt = receipts.find(kept => kept.effect === effect)
  if (!receipt?.answer) return undefined
  const { headers, type, body } = receipt.answer
  const own = receipt.fields?.['attributes'] as JsonObject | undefined
  return {
    id,
    headers,
    attributes: { ...attributes, ...own },
    body: heldBody(body, type),
    acceptedAt,
  }
}
