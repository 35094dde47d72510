import { z } from 'zod'
import {
  alertView,
  flowView,
  type linkView,
  lossView,
  messageDetailView,
  messageView,
  skippedMessageView,
} from '../api/views.ts'
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

/** What to tell of a link in one cell. */
export function linkDetail({ error, stuck, waiting, detail }: z.output<typeof linkView>): string {
  const trouble = error?.message ?? stuck?.error.message
  if (trouble !== undefined || !waiting) return trouble ?? detail
  return `${waiting.count} ${waiting.count === 1 ? 'request waits' : 'requests wait'}: ${waiting.reason}`
}
export { flowView, lossView, messageDetailView, skippedMessageView }
