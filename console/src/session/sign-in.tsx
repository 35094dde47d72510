import { Button, Input, Label, MessageStrip, Title } from '@ui5/webcomponents-react'
import { type FormEvent, useEffect, useState } from 'react'
import { ask, type Refusal, refusalOf } from '../api/client.ts'
import type { Session, Ways } from '../api/types.ts'
import logo from '../isthmus.svg'
import { FailureStrip } from '../parts/failure.tsx'
import { goToProvider } from './return-place.ts'

interface SignInProps {
  readonly ways?: Ways | undefined
  /** Whose session ended; the page below waits for them. */
  readonly again?: string
  onBegin(session: Session): void
}

/** The way in: the first administrator with the setup token, then name, password and code, or an identity provider. */
export function SignIn({ ways, again, onBegin }: SignInProps) {
  const isSetup = ways?.setup === true
  return (
    <div
      className={again === undefined ? 'sign-in' : 'sign-in over'}
      {...(again !== undefined && { role: 'dialog', 'aria-modal': true, 'aria-label': 'Your session has ended' })}
    >
      <main className="sign-in-card" aria-label="Sign in">
        <img src={logo} alt="" width={48} height={48} />
        <Title level="H1" size="H3">
          {isSetup ? 'Set up this hub' : again === undefined ? 'Isthmus' : 'Your session has ended'}
        </Title>
        <p className="about">
          {isSetup
            ? 'There is no administrator yet. The setup token makes the first one, and counts once.'
            : again === undefined
              ? 'Sign in to look after this hub.'
              : 'Sign in again; the page stays where you left it.'}
        </p>
        {isSetup ? (
          <SetupForm onBegin={onBegin} />
        ) : (
          <PasswordForm
            name={again ?? ''}
            hasProvider={ways?.provider === true || again?.startsWith('oidc:') === true}
            onBegin={onBegin}
          />
        )}
      </main>
    </div>
  )
}

/** State and submission that both forms share: they send their fields and begin the session that comes back. */
function useForm(path: string, onBegin: (session: Session) => void) {
  const [failure, setFailure] = useState<Refusal['problem']>()
  const [isBusy, setBusy] = useState(false)

  async function send(event: FormEvent, fields: Readonly<Record<string, string>>) {
    event.preventDefault()
    setBusy(true)
    setFailure(undefined)
    try {
      const filled = Object.entries(fields).filter(([, value]) => value !== '')
      onBegin(await ask<Session>('POST', path, { body: Object.fromEntries(filled) }))
    } catch (thrown) {
      setFailure(refusalOf(thrown))
    } finally {
      setBusy(false)
    }
  }
  return { failure, isBusy, send }
}

interface PasswordFormProps extends Pick<SignInProps, 'onBegin'> {
  readonly name: string
  readonly hasProvider: boolean
}

function PasswordForm({ name: first, hasProvider, onBegin }: PasswordFormProps) {
  const { failure, isBusy, send } = useForm('/api/session', onBegin)
  const [name, setName] = useState(first.startsWith('oidc:') ? '' : first)
  const [password, setPassword] = useState('')
  const [code, setCode] = useState('')
  return (
    <form className="form" onSubmit={event => void send(event, { name, password, code })}>
      <Field id="name" label="Name" value={name} onValue={setName} isFirst={first === ''} />
      <Field
        id="password"
        label="Password"
        type="Password"
        value={password}
        onValue={setPassword}
        isFirst={first !== ''}
      />
      <Field
        id="code"
        label="Code of your authenticator"
        hint="Leave it empty if you have none. Without the phone, a recovery code."
        value={code}
        onValue={setCode}
        isOptional
      />
      <FailureStrip failure={failure} />
      <Button design="Emphasized" type="Submit" loading={isBusy} className="wide">
        Sign in
      </Button>
      {hasProvider && (
        <Button design="Default" onClick={goToProvider} className="wide">
          Sign in with your organization
        </Button>
      )}
      <p className="hint">
        Locked out? At the machine of the hub: <code>isthmus admin password NAME</code>
      </p>
    </form>
  )
}

function SetupForm({ onBegin }: Pick<SignInProps, 'onBegin'>) {
  const { failure, isBusy, send } = useForm('/api/setup', onBegin)
  // The address that the terminal names has it behind the #, which no server is told.
  const [token, setToken] = useState(() => /^#(setup_[\w-]+)$/.exec(location.hash)?.[1] ?? '')
  useEffect(() => {
    if (location.hash !== '') history.replaceState(null, '', location.pathname + location.search)
  }, [])
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  return (
    <form className="form" onSubmit={event => void send(event, { token: token.trim(), name, password })}>
      <MessageStrip design="Information" hideCloseButton className="strip">
        The token was printed when the hub first started, and lies in <code>setup.token</code> in its data folder.
      </MessageStrip>
      <Field id="token" label="Setup token" type="Password" value={token} onValue={setToken} isFirst={token === ''} />
      <Field
        id="name"
        label="Your name"
        hint="Letters, digits, dot and dash, for example anna.berg"
        value={name}
        onValue={setName}
      />
      <Field
        id="password"
        label="Password"
        hint="At least twelve characters"
        type="Password"
        value={password}
        onValue={setPassword}
      />
      <FailureStrip failure={failure} />
      <Button design="Emphasized" type="Submit" loading={isBusy} className="wide">
        Make me the first administrator
      </Button>
    </form>
  )
}

interface FieldProps {
  readonly id: string
  readonly label: string
  readonly hint?: string
  readonly type?: 'Text' | 'Password'
  readonly value: string
  readonly isOptional?: boolean
  readonly isFirst?: boolean
  onValue(value: string): void
}

function Field({ id, label, hint, type = 'Text', value, isOptional = false, isFirst = false, onValue }: FieldProps) {
  return (
    <div className="field">
      <Label for={id} required={!isOptional} showColon={false}>
        {label}
      </Label>
      <Input
        id={id}
        name={id}
        type={type}
        value={value}
        accessibleName={label}
        required={!isOptional}
        autoFocus={isFirst}
        onInput={event => onValue(event.target.value ?? '')}
      />
      {hint !== undefined && <span className="hint">{hint}</span>}
    </div>
  )
}
