import { z } from 'zod'
import { alertView, flowView, lossView, messageDetailView, messageView, skippedMessageView } from '../api/views.ts'
import { cliErrors } from './cli-errors.ts'

/** Reads an answer of the hub as what it should be; another version of the hub may answer otherwise. */
export function readAnswer<S extends z.ZodType>(schema: S, answer: unknown): z.output<S> {
  const parsed = schema.safeParse(answer)
  if (parsed.success) return parsed.data
  throw cliErrors.NOT_A_HUB({ url: 'the hub', status: z.prettifyError(parsed.error) })
}

export const flowList = z.object({ flows: z.array(flowView) })
export const messageList = z.object({ messages: z.array(messageView), next: z.string().optional() })
export const alertList = z.object({ alerts: z.array(alertView) })
export const checkAnswer = z.object({
  ok: z.boolean(),
  links: z.array(
    z.object({
      link: z.string(),
      ok: z.boolean(),
      detail: z.string(),
      tookMs: z.number(),
      error: z.object({ next: z.string() }).optional(),
    }),
  ),
})
export const probeAnswer = z.object({
  ok: z.boolean(),
  state: z.string(),
  summary: z.string(),
  id: z.string().optional(),
})
export { flowView, lossView, messageDetailView, skippedMessageView }
