import { navigate, placeOf } from '../route.ts'

const key = 'isthmus-return-to'

/** Leaves for the identity provider, and remembers where one was. */
export function goToProvider(): void {
  const { path, query } = placeOf(location.pathname + location.search)
  sessionStorage.setItem(key, query.size > 0 ? `${path}?${query}` : path)
  location.assign('/api/session/sign-in')
}

/** Back from the provider: to the page that one left. Only paths of the console were ever kept. */
export function goBackAfterProvider(): void {
  const kept = sessionStorage.getItem(key)
  sessionStorage.removeItem(key)
  if (kept?.startsWith('/') && !kept.startsWith('//')) navigate(kept, 'replace')
}
