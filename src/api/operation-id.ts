/** Ends of paths that say what is done; all other ends are things. */
const actions: ReadonlySet<string> = new Set([
  'acknowledge',
  'authorise',
  'cancel',
  'check',
  'drain',
  'enrol',
  'explain',
  'lint',
  'list',
  'pause',
  'preview',
  'probe',
  'release-brake',
  'reload',
  'renew',
  'repair',
  'replay',
  'restore-held',
  'resume',
  'retry',
  'revoke',
  'rotate',
  'setup',
  'skip',
  'start',
  'stop',
  'sync',
  'test',
  'verify',
])

const verbs: Readonly<Record<string, string>> = { POST: 'create', PUT: 'put', PATCH: 'update', DELETE: 'delete' }

/** Several of a thing that come together, or what only looks like several. */
const wholes: ReadonlySet<string> = new Set(['counts', 'loss', 'metrics', 'recovery-codes'])

/**
 * The name of an operation, by which clients that are made from the OpenAPI document call it:
 * `POST /api/messages/{id}/replay` is `replayMessage`.
 */
export function operationIdOf(method: string, path: string): string {
  const segments = path.split('/').filter(segment => segment !== '' && segment !== 'api')
  const last = segments.at(-1) ?? ''
  const isAction = method === 'POST' && actions.has(last)
  const things = isAction ? segments.slice(0, -1) : segments
  const names = things.flatMap((segment, index) => {
    if (isParameter(segment)) return []
    const isOne = isParameter(things[index + 1]) || (method === 'POST' && !isAction && index === things.length - 1)
    return [pascal(isOne ? singular(segment) : segment)]
  })
  if (isAction) {
    const [verb = '', ...rest] = last.split('-')
    return [verb, ...names, ...rest.map(pascal)].join('')
  }
  const isList = !isParameter(last) && last.endsWith('s') && !wholes.has(last)
  return [verbs[method] ?? (isList ? 'list' : 'get'), ...names].join('')
}

function isParameter(segment: string | undefined): boolean {
  return segment !== undefined && /^[:{]/.test(segment)
}

function pascal(text: string): string {
  return text.replace(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase())
}

function singular(text: string): string {
  if (wholes.has(text)) return text
  if (text.endsWith('ies')) return `${text.slice(0, -3)}y`
  return text.endsWith('xes') ? text.slice(0, -2) : text.replace(/s$/, '')
}
