import { z } from 'zod'
import { itemKinds } from '../groupware/organizations/rules-input.ts'
import type { HeldDecision } from '../groupware/sync/held-deletions.ts'
import { heldDecidedView, heldView, viewHeld, viewMailbox } from './groupware-views.ts'
import { type ApiParts, type App, auditChange } from './parts.ts'

const tags = ['groupware']
const addressed = z.strictObject({ address: z.string().max(254) })
const kind = z.enum(itemKinds)
const heldPageMax = 1_000

const decisions: readonly { readonly path: string; readonly decision: HeldDecision; readonly summary: string }[] = [
  {
    path: 'release-brake',
    decision: 'pass',
    summary: 'Lets the deletions pass that the brake on mass deletions holds back, of all kinds or of one',
  },
  {
    path: 'restore-held',
    decision: 'restore',
    summary: 'Has created anew whose deletion the brake holds back, from the half that is left, of all kinds or of one',
  },
]

/** Deletions that are suspiciously many: which they are, and what a person says about them. */
export function heldRoutes(app: App, parts: ApiParts): void {
  app.get(
    '/api/mailboxes/:address/held',
    {
      schema: {
        tags,
        summary: 'Deletions that the brake holds back: what was deleted, where, and since when it waits',
        params: addressed,
        querystring: z.strictObject({
          kind: kind.optional(),
          after: z.string().max(1_000).optional().meta({ description: '`next` of the page before.' }),
          limit: z.coerce.number().int().min(1).max(heldPageMax).default(200),
        }),
        response: { 200: heldView },
      },
    },
    async request => viewHeld(await (await parts.groupware.load()).held(request.params.address, request.query)),
  )

  for (const { path, decision, summary } of decisions) {
    app.post(
      `/api/mailboxes/:address/${path}`,
      {
        schema: {
          tags,
          summary,
          params: addressed,
          body: z.strictObject({ kind: kind.optional() }).nullish(),
          response: { 200: heldDecidedView },
        },
      },
      async request => {
        const groupware = await parts.groupware.load()
        const { address: mailbox } = request.params
        const only = request.body?.kind
        const decided = await groupware.decideHeld(mailbox, decision, only)
        await auditChange(parts, request, `mailbox.${path}`, { mailbox, decided, ...(only && { kind: only }) })
        return { ...viewMailbox(groupware, groupware.mailbox(mailbox)), decided }
      },
    )
  }
}
