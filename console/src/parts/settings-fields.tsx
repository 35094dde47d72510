import type { ReactNode } from 'react'
import type { FormField, Typed } from '../words/form.ts'
import { Field } from './field.tsx'

interface SettingsFieldsProps {
  readonly fields: readonly FormField[]
  readonly typed: Typed
  /** Secrets that the hub keeps. */
  readonly kept?: readonly string[]
  /** What can be chosen where a field only takes what is there: names of credentials, say. */
  readonly choices?: Readonly<Record<string, readonly string[] | undefined>>
  /** What an empty choice means. */
  readonly unset?: string
  onTyped(typed: Typed): void
}

/** The fields of a form; those of a fold stand behind it. */
export function SettingsFields(props: SettingsFieldsProps) {
  const { fields, typed, kept = [], choices = {}, unset = 'none', onTyped } = props
  const folds = new Set(fields.map(({ fold }) => fold))
  const within = (wanted: string | undefined): ReactNode =>
    fields
      .filter(({ fold }) => fold === wanted)
      .map(({ path, label, hint, type, isSecret, isRequired = false, options = choices[path] }) => (
        <Field
          key={path}
          label={label}
          value={typed[path] ?? ''}
          hint={kept.includes(path) ? 'One is kept; leave this empty to keep it.' : hint}
          isText={type === 'text' || type === 'pairs'}
          isSecret={isSecret}
          isRequired={isRequired && !kept.includes(path)}
          options={options && choiceOf(options, typed[path] ?? '', unset)}
          onValue={value => onTyped({ ...typed, [path]: value })}
        />
      ))
  return [...folds].map(fold =>
    fold === undefined ? (
      within(fold)
    ) : (
      <details key={fold} className="more-fields">
        <summary>{fold}</summary>
        {within(fold)}
      </details>
    ),
  )
}

/** What is set already can be chosen in any case. */
function choiceOf(options: readonly string[], value: string, unset: string) {
  const all = options.includes(value) ? options : [value, ...options]
  return all.map(each => [each, each === '' ? unset : each] as const)
}
