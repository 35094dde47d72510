import { createHash, randomBytes } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { callerAddress } from '../kernel/caller-address.ts'
import { asHubError, type HubError } from '../kernel/error.ts'
import { apiErrors } from './api-errors.ts'
import type { ApiParts, App } from './parts.ts'
import { statusOf } from './problem.ts'
import { callbackPath, type SignInTickets, startPath } from './sign-in-tickets.ts'

const cookieName = 'isthmus_sign_in'
const cookieSeconds = 600

const style =
  'body{font:16px/1.5 system-ui,sans-serif;max-width:40em;margin:4em auto;padding:0 1em}code{background:#eee}'
const styleHash = createHash('sha256').update(style).digest('base64')

/** The two pages of a sign-in: one sends the browser to the sign-in server, the other takes it back. */
export function signInRoutes(app: App, parts: ApiParts, tickets: SignInTickets): void {
  const { credentials, logBook } = parts
  const hidden = { config: { isPublic: true }, schema: { hide: true } }

  app.get(startPath, hidden, async (request, reply) => {
    const credential = tickets.redeem(queryOf(request).ticket ?? '')
    if (credential === undefined) return showError(reply, apiErrors.TICKET_UNKNOWN())
    try {
      const session = randomBytes(32).toString('base64url')
      const redirectUri = tickets.redirectUri()
      const { url } = await credentials.beginAuthorisation(credential, { redirectUri, session })
      const secure = redirectUri.startsWith('https:') ? '; Secure' : ''
      // Lax, since the way back begins at another site.
      const cookie = `${cookieName}=${session}; Path=/oauth; Max-Age=${cookieSeconds}; HttpOnly; SameSite=Lax${secure}`
      return await reply.header('set-cookie', cookie).redirect(url, 303)
    } catch (thrown) {
      return showError(reply, asHubError(thrown))
    }
  })

  app.get(callbackPath, hidden, async (request, reply) => {
    const session = sessionOf(request.headers.cookie)
    try {
      const { name, user } = await credentials.completeAuthorisation(queryOf(request), session)
      const who = user ?? 'unknown user'
      await parts.store.audit({
        at: parts.clock.now(),
        who: `browser@${callerAddress(request.raw)}`,
        action: 'credential.authorised',
        detail: { credential: name, user: who },
      })
      return showPage(reply, 200, 'Signed in', [
        `The credential ${name} is authorised by ${who}.`,
        'The hub keeps the right to renew it. You can close this page.',
      ])
    } catch (thrown) {
      const error = asHubError(thrown)
      logBook.log.warn('credential.sign-in-failed', { code: error.code, error: error.message, cause: error.cause })
      return showError(reply, error)
    }
  })

  function showError(reply: FastifyReply, error: HubError) {
    return showPage(reply, statusOf(error), 'The sign-in did not succeed', [
      logBook.mask.text(error.message),
      `Next: ${logBook.mask.text(error.next)}`,
      `Code: ${error.code}`,
    ])
  }
}

export function showPage(reply: FastifyReply, status: number, title: string, lines: readonly string[]) {
  const paragraphs = lines.map(line => `<p>${escapeHtml(line)}</p>`).join('\n')
  return reply
    .status(status)
    .header('content-security-policy', `default-src 'none'; style-src 'sha256-${styleHash}'; frame-ancestors 'none'`)
    .type('text/html; charset=utf-8')
    .serializer(String)
    .send(
      `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Isthmus: ${escapeHtml(title)}</title>` +
        `<style>${style}</style></head>\n<body><h1>${escapeHtml(title)}</h1>\n${paragraphs}\n</body></html>\n`,
    )
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, letter => `&#${letter.charCodeAt(0)};`)
}

/** Each field of the query once; of a repeated one none, since nobody knows which was meant. */
function queryOf(request: FastifyRequest): Record<string, string> {
  const query = new URL(request.url, 'http://hub').searchParams
  return Object.fromEntries([...query].filter(([name]) => query.getAll(name).length === 1))
}

function sessionOf(cookies: string | undefined): string {
  const found = (cookies ?? '').split(';').map(part => part.trim().split('='))
  return found.find(([name]) => name === cookieName)?.[1] ?? ''
}
