import type { FastifyReply, FastifyRequest } from 'fastify'
import { type ConsoleFile, type ConsoleFiles, readConsole } from './console-files.ts'
import type { App } from './parts.ts'
import { showPage } from './sign-in-routes.ts'

export const consolePath = '/console/'

/**
 * Everything the console loads is its own: scripts and styles by file only, nothing of other hosts, no frame around it.
 * Icons are drawn from data: addresses.
 */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ')

const yearSeconds = 31_536_000

/** The web console: files without secrets, for everybody; what it shows comes from the API, for who may see it. */
export function consoleRoutes(app: App, folder: string): void {
  const hidden = { config: { isPublic: true }, schema: { hide: true } }
  let reading: Promise<ConsoleFiles | undefined> | undefined

  /** Looked for again as long as it is missing: it may be built while the hub runs. */
  async function files(): Promise<ConsoleFiles | undefined> {
    reading ??= readConsole(folder)
    const found = await reading
    if (!found) reading = undefined
    return found
  }

  for (const path of ['/', '/console']) {
    app.get(path, hidden, async (_request, reply) => reply.redirect(consolePath, 303))
  }

  app.get(`${consolePath}*`, hidden, async (request, reply) => {
    const built = await files()
    if (!built) {
      return showPage(reply, 503, 'The console is not built', [
        'The hub runs; only the pages of its console are missing.',
        'Next: run “npm run console” in the folder of Isthmus and load this page again.',
      ])
    }
    const path = request.url.slice(consolePath.length).split('?')[0] ?? ''
    const file = built.get(path) ?? (path.startsWith('assets/') ? undefined : built.get('index.html'))
    if (!file) return showPage(reply, 404, 'No such file', ['The console was built anew. Load the page again.'])
    return sendFile(request, reply, file)
  })
}

function sendFile(request: FastifyRequest, reply: FastifyReply, file: ConsoleFile) {
  reply.headers({
    'content-security-policy': contentSecurityPolicy,
    'cross-origin-opener-policy': 'same-origin',
    'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
    'cache-control': file.isImmutable ? `public, max-age=${yearSeconds}, immutable` : 'no-cache',
    etag: file.etag,
    vary: 'accept-encoding',
  })
  if (request.headers['if-none-match'] === file.etag) return reply.status(304).send()
  const takesGzip = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '')
  const bytes = takesGzip && file.gzipped ? file.gzipped : file.bytes
  if (bytes === file.gzipped) reply.header('content-encoding', 'gzip')
  return reply.type(file.type).send(bytes)
}
