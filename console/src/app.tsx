import { BusyIndicator, ThemeProvider } from '@ui5/webcomponents-react'
import { lazy, Suspense, useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { ask, type Refusal, refusalOf, useSessionForCalls } from './api/client.ts'
import type { Session, Ways } from './api/types.ts'
import { Notices, notify } from './parts/act.tsx'
import { FailureStrip } from './parts/failure.tsx'
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
  | { readonly is: 'silent'; readonly failure: Refusal['problem'] }
  | { readonly is: 'out'; readonly ways: Ways }
  | { readonly is: 'in' | 'lost'; readonly session: Session }

const againMs = 3_000

/** The console: the sign-in, or the pages for who signed in. */
export function App() {
  const [state, setState] = useState<State>({ is: 'looking' })

  const look = useCallback(async () => {
    const ways = await ask<Ways>('GET', '/api/session/ways')
    const session = ways.hasCookie ? await ask<Session>('GET', '/api/session').catch(endedSession) : undefined
    if (session) goBackAfterProvider()
    setState(session ? { is: 'in', session } : { is: 'out', ways })
  }, [])
  useEffect(() => {
    let again: ReturnType<typeof setTimeout> | undefined
    const begin = () => {
      look().catch((thrown: unknown) => {
        setState({ is: 'silent', failure: refusalOf(thrown) })
        again = setTimeout(begin, againMs)
      })
    }
    begin()
    return () => clearTimeout(again)
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
  const begin = useCallback((next: Session) => setState({ is: 'in', session: next }), [])
  const onOther = useCallback(
    (next: Session) => {
      begin(next)
      notify(`${next.administrator.name} signed in in another tab, and so in this one.`)
    },
    [begin],
  )
  // Before the pages below ask anything.
  useSessionForCalls(session, { onLost, onOther })

  const signOut = useCallback(async () => {
    await ask('DELETE', '/api/session').catch((thrown: unknown) => {
      // It is over already: that is what was wanted.
      if (refusalOf(thrown).status !== 401) throw thrown
    })
    await look()
  }, [look])
  const signedIn = useMemo(
    () => (session ? signedInWith(session, { signOut, renew: begin }) : undefined),
    [session, signOut, begin],
  )

  return (
    <ThemeProvider>
      {state.is === 'looking' && <BusyIndicator active delay={500} className="busy whole" />}
      {state.is === 'silent' && (
        <main className="sign-in" aria-label="The hub cannot be asked">
          <FailureStrip failure={state.failure} />
        </main>
      )}
      {state.is === 'out' && <SignIn ways={state.ways} onBegin={begin} />}
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

/** A session that is over is none; whatever else goes wrong says nothing about it. */
function endedSession(thrown: unknown): undefined {
  if (refusalOf(thrown).status !== 401) throw thrown
}
