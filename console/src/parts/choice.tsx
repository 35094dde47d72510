import { Option, Select } from '@ui5/webcomponents-react'

interface ChoiceProps {
  readonly name: string
  readonly value: string
  readonly all: string
  readonly children: readonly (readonly [value: string, words: string])[]
  onValue(value: string): void
}

/** One of several, or all of them. */
export function Choice({ name, value, all, children, onValue }: ChoiceProps) {
  const id = `choose-${name.toLowerCase().replaceAll(' ', '-')}`
  return (
    <div className="filter">
      <label htmlFor={id}>{name}</label>
      <Select
        id={id}
        accessibleName={name}
        onChange={event => onValue(event.detail.selectedOption.getAttribute('data-value') ?? '')}
      >
        <Option data-value="" selected={value === ''}>
          {all}
        </Option>
        {children.map(([each, words]) => (
          <Option key={each} data-value={each} selected={each === value}>
            {words}
          </Option>
        ))}
      </Select>
    </div>
  )
}
