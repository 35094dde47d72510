import { BusyIndicator, ThemeProvider } from '@ui5/webcomponents-react'
import { lazy, Suspense, useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { ask, type Refusal, refusalOf, useSessionForCalls } from './api/client.ts'
import type { Session, Ways } from './api/types.ts'
import { Notices } from './parts/act.tsx'
import { focusAgain } from './parts/focus.ts'
import { goBackAfterProvider } from './session/return-place.ts'
import { SessionContext, signedInWith } from './session/session.ts'
import { SignIn } from './session/sign-in.tsx'

// Fetched at once, shown when somebody is signed in.
const loadShell = import('./shell.tsx')
const Shell = lazy(() => loadShell)

/** `lost`: the session ended under an open page, which stays as it is until somebody signs in again. */
type State =
  | { readonly is: 'looking' }
  | { readonly is: 'out'; readonly ways: Ways; readonly failure?: Refusal['problem'] }
  | { readonly is: 'in' | 'lost'; readonly session: Session }

/** The console: the sign-in, or the pages for who signed in. */
export function App() {
  const [state, setState] = useState<State>({ is: 'looking' })

  const look = useCallback(async () => {
    const ways = await ask<Ways>('GET', '/api/session/ways')
    const session = ways.hasCookie ? await ask<Session>('GET', '/api/session').catch(() => undefined) : undefined
    if (session) goBackAfterProvider()
    setState(session ? { is: 'in', session } : { is: 'out', ways })
  }, [])
  useEffect(() => {
    look().catch((thrown: unknown) => {
      const ways = { setup: false, provider: false, hasCookie: false }
      setState({ is: 'out', ways, failure: refusalOf(thrown) })
    })
  }, [look])

  const session = 'session' in state ? state.session : undefined
  const left = useRef<Element>(null)
  const onLost = useCallback(() => {
    left.current ??= document.activeElement
    setState(before => (before.is === 'in' ? { is: 'lost', session: before.session } : before))
  }, [])
  useEffect(() => {
    if (state.is === 'lost' || left.current === null) return
    focusAgain(left.current)
    left.current = null
  }, [state.is])
  // Before the pages below ask anything.
  useSessionForCalls(session, onLost)

  const signOut = useCallback(async () => {
    await ask('DELETE', '/api/session').catch((thrown: unknown) => {
      // It is over already: that is what was wanted.
      if (refusalOf(thrown).status !== 401) throw thrown
    })
    await look()
  }, [look])
  const begin = useCallback((next: Session) => setState({ is: 'in', session: next }), [])
  const signedIn = useMemo(
    () => (session ? signedInWith(session, { signOut, renew: begin }) : undefined),
    [session, signOut, begin],
  )

  return (
    <ThemeProvider>
      {state.is === 'looking' && <BusyIndicator active delay={500} className="busy whole" />}
      {state.is === 'out' && <SignIn ways={state.ways} failure={state.failure} onBegin={begin} />}
      {signedIn && (
        <SessionContext value={signedIn}>
          {/* Another person starts with pages of their own; nobody reaches them before the sign-in over them is done. */}
          <div className="whole" inert={state.is === 'lost'}>
            <Suspense fallback={<BusyIndicator active delay={500} className="busy whole" />}>
              <Shell key={signedIn.session.administrator.name} />
            </Suspense>
          </div>
          {state.is === 'lost' && <SignIn again={signedIn.session.administrator.name} onBegin={begin} />}
          <Notices />
        </SessionContext>
      )}
    </ThemeProvider>
  )
}
