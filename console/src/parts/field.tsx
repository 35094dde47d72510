import { Input, Label, Option, Select } from '@ui5/webcomponents-react'
import { useId } from 'react'

interface FieldProps {
  readonly label: string
  readonly value: string
  readonly hint?: string | undefined
  /** Of several lines, and pasted rather than typed. */
  readonly isText?: boolean | undefined
  readonly isSecret?: boolean | undefined
  readonly isRequired?: boolean | undefined
  /** One of these instead of something typed; the first when nothing was chosen. */
  readonly options?: readonly (readonly [value: string, words: string])[] | undefined
  onValue(value: string): void
}

/** A label, the field it belongs to, and a hint below it. */
export function Field(props: FieldProps) {
  const { label, hint, isRequired = false } = props
  const id = useId()
  return (
    <div className="field">
      <Label for={id} required={isRequired}>
        {label}
      </Label>
      <Entry {...props} id={id} />
      {hint !== undefined && (
        <span className="hint" id={`${id}-hint`}>
          {hint}
        </span>
      )}
    </div>
  )
}

function Entry(props: FieldProps & { readonly id: string }) {
  const { id, label, value, hint, isText, isSecret = false, isRequired = false, options, onValue } = props
  if (options) {
    const chosen = options.some(([each]) => each === value) ? value : options[0]?.[0]
    return (
      <Select
        id={id}
        accessibleName={label}
        onChange={event => onValue(event.detail.selectedOption.getAttribute('data-value') ?? '')}
      >
        {options.map(([each, words]) => (
          <Option key={each} data-value={each} selected={each === chosen}>
            {words}
          </Option>
        ))}
      </Select>
    )
  }
  if (isText) {
    return (
      <textarea
        id={id}
        className="code-edit"
        rows={5}
        spellCheck={false}
        autoComplete="off"
        aria-label={label}
        aria-required={isRequired}
        {...(hint !== undefined && { 'aria-describedby': `${id}-hint` })}
        value={value}
        onChange={event => onValue(event.target.value)}
      />
    )
  }
  return (
    <Input
      id={id}
      type={isSecret ? 'Password' : 'Text'}
      accessibleName={label}
      required={isRequired}
      value={value}
      {...(hint !== undefined && { accessibleDescription: hint })}
      onInput={event => onValue(event.target.value ?? '')}
    />
  )
}
