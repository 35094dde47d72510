import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { MiB } from '../kernel/size.ts'
import { SECOND } from '../kernel/time.ts'
import { type LogLine, logLevels } from '../monitor/log.ts'
import { apiErrors } from './api-errors.ts'
import type { ApiParts, App } from './parts.ts'
import { iso } from './views.ts'

const followersMax = 20
const heartbeatMs = 10 * SECOND
// A follower that reads more slowly than lines come loses lines, not the hub its memory.
const unreadBytesMax = MiB

export const lineView = z.object({ at: z.string(), level: z.enum(logLevels), event: z.string(), fields: z.unknown() })

/** The log: the newest lines, or each as it comes (server-sent events). */
export function logRoutes(app: App, parts: ApiParts, mayStill: (request: FastifyRequest) => Promise<boolean>): void {
  const { logBook } = parts
  const enders = new Set<() => void>()
  app.addHook('preClose', async () => {
    for (const end of enders) end()
  })

  app.get(
    '/api/log',
    {
      schema: {
        tags: ['hub'],
        summary: 'The newest log lines; with follow=true each line as a server-sent event',
        querystring: z.strictObject({
          follow: z.enum(['true', 'false']).default('false'),
          flow: z.string().optional(),
          delivery: z.string().optional(),
          level: z.enum(logLevels).default('info').meta({ description: 'This level and above.' }),
          limit: z.coerce.number().int().min(0).max(2000).default(100),
        }),
        response: {
          200: {
            description: 'The lines, oldest first.',
            content: {
              'application/json': { schema: z.object({ lines: z.array(lineView) }) },
              'text/event-stream': { schema: z.string().meta({ description: 'Events `line` and `lost`.' }) },
            },
          },
        },
      },
    },
    async (request, reply) => {
      const { follow, flow, delivery, level, limit } = request.query
      const isWanted = (line: LogLine) =>
        logLevels.indexOf(line.level) >= logLevels.indexOf(level) &&
        (flow === undefined || line.fields.flow === flow) &&
        (delivery === undefined || line.fields.delivery === delivery)
      const newest = limit === 0 ? [] : logBook.recent().filter(isWanted).slice(-limit)
      if (follow === 'false') return { lines: newest.map(viewLine) }
      if (enders.size >= followersMax) throw apiErrors.TOO_MANY_FOLLOWERS({ count: enders.size })
      reply.hijack()
      const { raw } = reply
      raw.socket?.setTimeout(0)
      raw.writeHead(200, {
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
      })
      raw.flushHeaders()
      let lost = 0
      const send = (line: LogLine) => {
        if (raw.writableLength > unreadBytesMax) {
          lost++
          return
        }
        if (lost > 0) raw.write(`event: lost\ndata: ${JSON.stringify({ lines: lost })}\n\n`)
        lost = 0
        raw.write(`event: line\ndata: ${JSON.stringify(viewLine(line))}\n\n`)
      }
      for (const line of newest) send(line)
      const endFollow = logBook.follow(level, line => isWanted(line) && send(line))
      // Whoever was signed out, or lost the right, reads no further.
      const beat = async () => {
        if (!(await mayStill(request).catch(() => false))) end()
        // It may have ended meanwhile, and a write after that is an error that nobody hears.
        else if (!raw.writableEnded) raw.write(':\n\n')
      }
      const heartbeat = setInterval(() => void beat(), heartbeatMs)
      const end = () => {
        clearInterval(heartbeat)
        endFollow()
        enders.delete(end)
        raw.end()
      }
      enders.add(end)
      raw.on('close', end)
      return reply
    },
  )
}

function viewLine({ at, ...line }: LogLine): z.output<typeof lineView> {
  return { at: iso(at), ...line }
}
