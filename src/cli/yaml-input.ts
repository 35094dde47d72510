import { parse } from 'yaml'
import { YamlSource } from '../flow/yaml-source.ts'
import { cliErrors } from './cli-errors.ts'

/** What stands in a file that a person wrote. Throws CLI_INPUT_WRONG. */
export function readYaml(file: string, text: string): unknown {
  try {
    return parse(text, { maxAliasCount: 0 })
  } catch (cause) {
    // Where the parser alone minds: the first line says what and where, the next ones would show the text, which may hold a secret.
    const [mistake = ''] = (cause instanceof Error ? cause.message : String(cause)).split('\n')
    const [fault = mistake] = yamlFaults(file, text)
    throw cliErrors.INPUT_WRONG({ file, what: 'YAML or JSON', text: fault }, { cause })
  }
}

/** What is wrong with a text as YAML, each with line, column and what to do, in the words of the lint. */
export function yamlFaults(file: string, text: string): readonly string[] {
  return new YamlSource(file, text).problems.map(({ line, column, message, next }) =>
    [`${line}:${column}:`, message, ...(next === undefined ? [] : [next])].join(' '),
  )
}
