import { parse } from 'yaml'
import { cliErrors } from './cli-errors.ts'

/** What stands in a file that a person wrote. Throws CLI_INPUT_WRONG. */
export function readYaml(file: string, text: string): unknown {
  try {
    return parse(text, { maxAliasCount: 0 })
  } catch (cause) {
    // The first line says what and where; the next ones would show the text, which may hold a secret.
    const [mistake = ''] = (cause instanceof Error ? cause.message : String(cause)).split('\n')
    throw cliErrors.INPUT_WRONG({ file, what: 'YAML or JSON', text: mistake }, { cause })
  }
}
