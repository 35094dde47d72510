import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'

/** A page of the log-in: no script, no picture, nothing from elsewhere. */
export interface Page {
  readonly html: string
  /** Origin of the client to which the last redirect after the form goes; browsers hold `form-action` against it too. */
  readonly sendsTo?: string | undefined
}

export function sendPage(response: ServerResponse, status: number, { html, sendsTo }: Page): void {
  const formTargets = ["'self'", ...(sendsTo === undefined ? [] : [sendsTo])].join(' ')
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'content-length': Buffer.byteLength(html),
    'cache-control': 'no-store',
    'content-security-policy': [
      "default-src 'none'",
      `style-src 'sha256-${styleHash}'`,
      `form-action ${formTargets}`,
      "frame-ancestors 'none'",
      "base-uri 'none'",
    ].join('; '),
    'x-frame-options': 'DENY',
    'x-content-type-options': 'nosniff',
  })
  response.end(html)
}

interface LogInPage {
  readonly action: string
  readonly csrf: string
  readonly clientName: string
  readonly user: string
  readonly problem?: string | undefined
  readonly sendsTo: string | undefined
}

export function logInPage({ action, csrf, clientName, user, problem, sendsTo }: LogInPage): Page {
  const note = problem === undefined ? '' : `<p class="problem" role="alert">${escapeHtml(problem)}</p>`
  const html = page(
    'Sign in',
    `<p>Sign in to go on to <strong>${escapeHtml(clientName)}</strong>.</p>${note}
<form method="post" action="${escapeHtml(action)}">
<input type="hidden" name="csrf" value="${escapeHtml(csrf)}">
<label>User<input name="user" autocomplete="username" autocapitalize="none" spellcheck="false" required value="${escapeHtml(user)}"${user === '' ? ' autofocus' : ''}></label>
<label>Password<input name="password" type="password" autocomplete="current-password" required${user === '' ? '' : ' autofocus'}></label>
<button name="answer" value="go">Sign in</button>
<button name="answer" value="cancel" formnovalidate class="quiet">Cancel</button>
</form>`,
  )
  return { html, sendsTo }
}

interface ConsentPage {
  readonly action: string
  readonly csrf: string
  readonly clientName: string
  readonly user: string
  readonly wishes: readonly string[]
  readonly sendsTo: string | undefined
}

export function consentPage({ action, csrf, clientName, user, wishes, sendsTo }: ConsentPage): Page {
  const html = page(
    'Allow access?',
    `<p><strong>${escapeHtml(clientName)}</strong> wants to act for <strong>${escapeHtml(user)}</strong>:</p>
<ul>${wishes.map(wish => `<li>${escapeHtml(wish)}</li>`).join('')}</ul>
<form method="post" action="${escapeHtml(action)}">
<input type="hidden" name="csrf" value="${escapeHtml(csrf)}">
<button name="answer" value="go">Allow</button>
<button name="answer" value="cancel" class="quiet">Do not allow</button>
</form>`,
  )
  return { html, sendsTo }
}

export function errorPage(text: string): Page {
  return { html: page('That did not work', `<p role="alert">${escapeHtml(text)}</p>`) }
}

const style = `body{font:16px/1.5 system-ui,sans-serif;color:#1d2d3e;background:#f5f6f7;margin:0}
main{max-width:22rem;margin:12vh auto;padding:2rem;background:#fff;border:1px solid #d9d9d9;border-radius:.75rem}
h1{font-size:1.4rem;margin:0 0 .5rem}
label{display:block;margin:1rem 0}
input:not([type=hidden]){display:block;width:100%;box-sizing:border-box;font:inherit;padding:.5rem;margin-top:.25rem;border:1px solid #556b81;border-radius:.25rem}
button{font:inherit;padding:.5rem 1rem;border:1px solid #0064d9;border-radius:.5rem;background:#0070f2;color:#fff;cursor:pointer}
button.quiet{background:#fff;color:#0064d9}
.problem{color:#aa0808}`
const styleHash = createHash('sha256').update(style).digest('base64')

function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escapeHtml(title)}</title><style>${style}</style></head>
<body><main><h1>${escapeHtml(title)}</h1>
${body}
</main></body>
</html>
`
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, letter => entities[letter] ?? letter)
}
