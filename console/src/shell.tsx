import '@ui5/webcomponents-icons/dist/chain-link.js'
import '@ui5/webcomponents-icons/dist/email.js'
import '@ui5/webcomponents-icons/dist/history.js'
import '@ui5/webcomponents-icons/dist/home.js'
import '@ui5/webcomponents-icons/dist/key.js'
import '@ui5/webcomponents-icons/dist/appointment-2.js'
import '@ui5/webcomponents-icons/dist/list.js'
import '@ui5/webcomponents-icons/dist/menu2.js'
import '@ui5/webcomponents-icons/dist/palette.js'
import '@ui5/webcomponents-icons/dist/process.js'
import '@ui5/webcomponents-icons/dist/user-settings.js'
import {
  Avatar,
  BusyIndicator,
  Button,
  NavigationLayout,
  ShellBar,
  ShellBarBranding,
  SideNavigation,
  SideNavigationItem,
  UserMenu,
  UserMenuAccount,
  UserMenuItem,
} from '@ui5/webcomponents-react'
import { type ComponentType, lazy, Suspense, useEffect, useState } from 'react'
import { refusalOf } from './api/client.ts'
import type { HubInfo } from './api/types.ts'
import { useAnswer } from './api/use-answer.ts'
import logo from './isthmus.svg'
import { notify } from './parts/act.tsx'
import { Boundary } from './parts/boundary.tsx'
import { Nothing } from './parts/facts.tsx'
import { Page } from './parts/page.tsx'
import { hrefOf, match, navigate, usePlace } from './route.ts'
import { useSession } from './session/session.ts'
import { chooseLook, currentLook, looks } from './theme.ts'

/** The pages by their paths; each is loaded when it is first opened. */
const pages: readonly (readonly [pattern: string, page: ComponentType<PageProps>])[] = [
  ['/', lazy(() => import('./pages/overview.tsx'))],
  ['/flows', lazy(() => import('./pages/flows.tsx'))],
  ['/flows/:name', lazy(() => import('./pages/flow.tsx'))],
  ['/messages', lazy(() => import('./pages/messages.tsx'))],
  ['/messages/:id', lazy(() => import('./pages/message.tsx'))],
  ['/groupware', lazy(() => import('./pages/groupware.tsx'))],
  ['/groupware/:name', lazy(() => import('./pages/organization.tsx'))],
  ['/mailboxes/:address', lazy(() => import('./pages/mailbox.tsx'))],
  ['/credentials', lazy(() => import('./pages/credentials.tsx'))],
  ['/connectors', lazy(() => import('./pages/connectors.tsx'))],
  ['/service-users', lazy(() => import('./pages/service-users.tsx'))],
  ['/log', lazy(() => import('./pages/log.tsx'))],
  ['/audit', lazy(() => import('./pages/audit.tsx'))],
  ['/account', lazy(() => import('./pages/account.tsx'))],
]

export interface PageProps {
  /** What the path names (a flow, a message); empty where it names nothing. */
  readonly name: string
}

const sections = [
  { path: '/', text: 'Overview', icon: 'home' },
  { path: '/flows', text: 'Flows', icon: 'process' },
  { path: '/messages', text: 'Messages', icon: 'email' },
  { path: '/groupware', text: 'Groupware', icon: 'appointment-2' },
  { path: '/connectors', text: 'Connectors', icon: 'chain-link' },
  { path: '/credentials', text: 'Credentials', icon: 'key' },
  { path: '/service-users', text: 'Service users', icon: 'user-settings' },
  { path: '/log', text: 'Log', icon: 'list' },
  { path: '/audit', text: 'Audit log', icon: 'history' },
] as const

const avatarId = 'signed-in-person'

/** What stands around every page: the bar with hub and person, and the way to the others. */
export default function Shell() {
  const { path } = usePlace()
  const [isWide, setWide] = useState(matchMedia('(min-width: 1100px)').matches)
  const [isMenuOpen, setMenuOpen] = useState(false)
  const { name } = useSession().session.administrator
  const { data: hub } = useAnswer<HubInfo>('/api/hub', 60_000)
  // biome-ignore lint/correctness/useExhaustiveDependencies: with each other page
  useEffect(() => {
    // On a narrow screen the choice of a page closes the list of them.
    if (!matchMedia('(min-width: 1100px)').matches) setWide(false)
    document.querySelector('.content')?.scrollTo(0, 0)
  }, [path])
  return (
    <>
      <button type="button" className="skip" onClick={() => document.getElementById('content')?.focus()}>
        To the content
      </button>
      <NavigationLayout
        mode={isWide ? 'Expanded' : 'Collapsed'}
        className="shell"
        header={
          <ShellBar
            startButton={
              <Button
                icon="menu2"
                design="Transparent"
                accessibleName={isWide ? 'Fold the list of pages' : 'Show the list of pages'}
                onClick={() => setWide(!isWide)}
              />
            }
            branding={
              <ShellBarBranding
                href={hrefOf('/')}
                accessibleName="Isthmus, to the overview"
                logo={<img src={logo} alt="" width={28} height={28} />}
              >
                Isthmus
              </ShellBarBranding>
            }
            content={
              <span className="stage" data-hide-order={1}>
                {hub ? `${hub.stage} · ${hub.version}` : ''}
              </span>
            }
            onProfileClick={() => setMenuOpen(true)}
            profile={<Avatar id={avatarId} initials={initialsOf(name)} accessibleName={`${name}: look and sign-out`} />}
          />
        }
        sideContent={
          <SideNavigation collapsed={!isWide} accessibleName="Pages">
            {sections.map(section => (
              <SideNavigationItem
                key={section.path}
                text={section.text}
                icon={section.icon}
                href={hrefOf(section.path)}
                selected={isWithin(path, section.path)}
              />
            ))}
          </SideNavigation>
        }
      >
        <div className="content">
          <Profile opener={avatarId} isOpen={isMenuOpen} onClose={() => setMenuOpen(false)} />
          <Boundary key={path}>
            <Suspense fallback={<BusyIndicator active delay={300} className="busy" />}>
              <CurrentPage path={path} />
            </Suspense>
          </Boundary>
        </div>
      </NavigationLayout>
    </>
  )
}

function CurrentPage({ path }: { readonly path: string }) {
  for (const [pattern, Shown] of pages) {
    const names = match(pattern, path)
    // One flow after the other is two pages, not one that changes.
    if (names) return <Shown key={path} name={names[0] ?? ''} />
  }
  return (
    <Page title="No such page">
      <Nothing title="Nothing is here.">
        <a href={hrefOf('/')}>To the overview</a>
      </Nothing>
    </Page>
  )
}

/** Who is signed in, how the console looks, and the way out; opened by the picture in the bar. */
function Profile({ opener, isOpen, onClose }: { readonly opener: string; readonly isOpen: boolean; onClose(): void }) {
  const { session, signOut } = useSession()
  const [look, setLook] = useState(currentLook)
  const { name, roles } = session.administrator
  return (
    <UserMenu
      open={isOpen}
      opener={opener}
      onClose={onClose}
      onSignOutClick={() => {
        signOut().catch((thrown: unknown) => notify(refusalOf(thrown).title))
      }}
      accounts={
        <UserMenuAccount titleText={name} subtitleText={roles.join(', ')} avatarInitials={initialsOf(name)} selected />
      }
    >
      <UserMenuItem icon="user-settings" text="Your account" onClick={() => navigate('/account')} />
      {looks.map(each => (
        <UserMenuItem
          key={each}
          icon="palette"
          text={`${lookWords[each]}${each === look ? ' (chosen)' : ''}`}
          onClick={() => {
            setLook(each)
            void chooseLook(each)
          }}
        />
      ))}
    </UserMenu>
  )
}

const lookWords = { auto: 'Look: as the machine', light: 'Look: light', dark: 'Look: dark' } as const

function initialsOf(name: string): string {
  const [first = '', second = ''] = name.replace(/^oidc:/, '').split(/[.@\s_-]+/)
  return `${first.charAt(0)}${second.charAt(0)}`.toUpperCase()
}

/** The section that a page belongs to; mailboxes are part of the groupware. */
function isWithin(path: string, section: string): boolean {
  if (section === '/') return path === '/'
  return (
    path === section || path.startsWith(`${section}/`) || (section === '/groupware' && path.startsWith('/mailboxes/'))
  )
}
