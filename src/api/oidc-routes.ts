import { externalPrefix, type OidcLogIn } from '../auth/administrators/oidc-log-in.ts'
import { callerAddress } from '../kernel/caller-address.ts'
import { asHubError, type HubError } from '../kernel/error.ts'
import { consolePath } from './console-routes.ts'
import { type ApiParts, type App, auditChange } from './parts.ts'
import { statusOf } from './problem.ts'
import { findReadable, readCookie, sessionCookie, setSessionCookie, signInCookie } from './session-cookie.ts'
import { showPage } from './sign-in-routes.ts'

const oidcStartPath = '/api/session/sign-in'
export const oidcCallbackPath = '/oauth/administrator'

/** Administrators who log in at an identity provider: the browser goes there, and comes back with a session. */
export function oidcRoutes(app: App, parts: ApiParts, logIn: OidcLogIn): void {
  const { sessions, logBook, publicUrl } = parts
  const hidden = { config: { isPublic: true }, schema: { hide: true } }

  app.get(oidcStartPath, hidden, async (request, reply) => {
    const unreadable = findReadable(request.headers, request.ip, publicUrl)
    if (unreadable) throw unreadable
    const { url, browser } = await logIn.begin()
    // Lax, since the way back begins at another site.
    const cookie = `${signInCookie}=${browser}; Path=/; Max-Age=600; Secure; HttpOnly; SameSite=Lax`
    return reply.header('set-cookie', cookie).redirect(url, 303)
  })

  app.get(oidcCallbackPath, hidden, async (request, reply) => {
    const query = new URL(request.url, 'http://hub').searchParams
    try {
      const browser = readCookie(request.headers.cookie, signInCookie) ?? ''
      const { name, subject, groups } = await logIn.finish(query, browser)
      const before = readCookie(request.headers.cookie, sessionCookie)
      if (before !== undefined) await sessions.end(before)
      const id = await sessions.begin(name, callerAddress(request.raw), groups)
      request.admin = { who: name, permissions: new Set() }
      await auditChange(parts, request, 'session.begin', { administrator: name, subject, groups: [...groups] })
      reply.header('set-cookie', [setSessionCookie(id), `${signInCookie}=; Path=/; Max-Age=0; Secure; HttpOnly`])
      // The console goes back to the page that sent the browser to the provider.
      if (parts.console !== undefined) return reply.redirect(consolePath, 303)
      return showPage(reply, 200, 'Logged in', [`You are logged in as ${name.slice(externalPrefix.length)}.`])
    } catch (thrown) {
      return showError(asHubError(thrown))
    }

    function showError(error: HubError) {
      logBook.log.warn('admin.sign-in-failed', {
        code: error.code,
        error: error.message,
        address: callerAddress(request.raw),
      })
      return showPage(reply, statusOf(error), 'The log-in did not succeed', [
        logBook.mask.text(error.message),
        `Next: ${logBook.mask.text(error.next)}`,
        `Code: ${error.code}`,
      ])
    }
  })
}
