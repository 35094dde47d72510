import { useSyncExternalStore } from 'react'

const base = '/console'
const listeners = new Set<() => void>()
let moved = false

/** Where the browser is: the path below /console, and its query. */
export interface Place {
  readonly path: string
  readonly query: URLSearchParams
}

/** Goes to a path of the console, as a link does. */
export function navigate(to: string, how: 'push' | 'replace' = 'push'): void {
  if (how === 'push') history.pushState(null, '', base + to)
  else history.replaceState(null, '', base + to)
  tellAll()
}

/** Somebody went from one page to another, and did not only just come. */
export function hasMoved(): boolean {
  return moved
}

/** The address that a link to a path of the console carries. */
export function hrefOf(to: string): string {
  return base + to
}

export function usePlace(): Place {
  const url = useSyncExternalStore(subscribe, () => location.pathname + location.search)
  return placeOf(url)
}

/** `/console/flows/orders?x=1` is the path /flows/orders with x=1. */
export function placeOf(url: string): Place {
  const [path = '', query = ''] = url.split('?', 2)
  const below = path.startsWith(base) ? path.slice(base.length) : path
  return { path: below === '' ? '/' : below, query: new URLSearchParams(query) }
}

/** The names in a path that fits a pattern (`/flows/:name`); undefined when it does not fit. */
export function match(pattern: string, path: string): readonly string[] | undefined {
  const wanted = pattern.split('/')
  const given = path.replace(/(.)\/$/, '$1').split('/')
  if (wanted.length !== given.length) return undefined
  const names: string[] = []
  for (const [index, part] of wanted.entries()) {
    const here = given[index] ?? ''
    if (part.startsWith(':')) {
      const name = decoded(here)
      if (name === undefined || name === '') return undefined
      names.push(name)
    } else if (part !== here) return undefined
  }
  return names
}

/** Lets links of the console change the page without loading it anew; others, and those for a new tab, stay links. */
export function catchLinks(): void {
  const follow = (event: MouseEvent) => {
    if (event.defaultPrevented || event.button !== 0) return
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
    // A link inside a web component is found along the way that the event came.
    const link = event.composedPath().find(node => node instanceof HTMLAnchorElement)
    if (!link?.href || (link.target !== '' && link.target !== '_self') || link.hasAttribute('download')) return
    const url = new URL(link.href)
    if (url.origin !== location.origin || !(url.pathname === base || url.pathname.startsWith(`${base}/`))) return
    event.preventDefault()
    navigate(url.pathname.slice(base.length) + url.search)
  }
  // On the way down: components tell nobody further up of a click on a link that is their own.
  document.addEventListener('click', follow, { capture: true })
  window.addEventListener('popstate', tellAll)
}

function tellAll(): void {
  moved = true
  for (const tell of listeners) tell()
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

function subscribe(tell: () => void): () => void {
  listeners.add(tell)
  return () => listeners.delete(tell)
}
