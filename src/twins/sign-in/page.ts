/** An HTML page of the sign-in twin; no script, so that a form post of any HTTP client walks through it. */
export interface Page {
  readonly status: number
  readonly html: string
}

export function accountPage(action: string, ticket: string, hint: string, problem?: string): Page {
  return page(
    problem === undefined ? 200 : 400,
    'Sign in',
    `${problem === undefined ? '' : `<p role="alert">${escapeHtml(problem)}</p>`}
<form method="post" action="${escapeHtml(action)}">
<input type="hidden" name="ticket" value="${escapeHtml(ticket)}">
<label>Account <input type="email" name="account" value="${escapeHtml(hint)}" autocomplete="username" required autofocus></label>
<button type="submit">Next</button>
</form>`,
  )
}

export interface ConsentWish {
  readonly action: string
  readonly ticket: string
  readonly account: string
  readonly appName: string
  readonly permissions: readonly string[]
  /** The account may grant for everybody in the organization. */
  readonly isAdmin: boolean
}

export function consentPage(wish: ConsentWish): Page {
  return page(
    200,
    'Permissions requested',
    `<p>${escapeHtml(wish.account)}</p>
<p><strong>${escapeHtml(wish.appName)}</strong> would like to:</p>
<ul>${wish.permissions.map(text => `<li>${escapeHtml(text)}</li>`).join('')}</ul>
<form method="post" action="${escapeHtml(wish.action)}">
<input type="hidden" name="ticket" value="${escapeHtml(wish.ticket)}">
${wish.isAdmin ? '<p><label><input type="checkbox" name="for_all" value="yes"> Consent on behalf of your organization</label></p>' : ''}
<button type="submit" name="answer" value="accept">Accept</button>
<button type="submit" name="answer" value="cancel">Cancel</button>
</form>`,
  )
}

export function problemPage(status: number, problem: string): Page {
  return page(status, 'Sorry, but we are having trouble signing you in', `<p role="alert">${escapeHtml(problem)}</p>`)
}

function page(status: number, title: string, content: string): Page {
  return {
    status,
    html: `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(title)}</title>
<meta name="viewport" content="width=device-width">
<style>body{font:16px system-ui;max-width:28rem;margin:4rem auto;padding:0 1rem}button{padding:.5rem 1rem}</style>
</head><body><h1>${escapeHtml(title)}</h1>
${content}
<p><small>A stand-in for tests; it knows no passwords.</small></p>
</body></html>
`,
  }
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, letter => `&#${letter.charCodeAt(0)};`)
}
