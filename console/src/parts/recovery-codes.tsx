import { Button } from '@ui5/webcomponents-react'

/** Codes for the day on which the phone is lost, shown until somebody says that they are kept. */
export function RecoveryCodes({ codes, onKept }: { readonly codes: readonly string[]; onKept(): void }) {
  return (
    <div className="form inside">
      <p>
        For the day on which the authenticator is lost: each of these codes counts once in its place. Keep them where
        your phone is not, on paper for example. <strong>They are shown this once.</strong>
      </p>
      <ol className="secret recovery-codes" aria-label="Recovery codes">
        {codes.map(code => (
          <li key={code}>
            <code>{code}</code>
          </li>
        ))}
      </ol>
      <div className="card-acts">
        <Button design="Emphasized" onClick={onKept}>
          I have kept them
        </Button>
      </div>
    </div>
  )
}
