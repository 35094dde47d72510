import type { Command } from 'commander'
import { z } from 'zod'
import { createdKeyView, instanceView, keyView } from '../api/service-views.ts'
import { readAnswer } from './answers.ts'
import type { Cli } from './cli.ts'
import { cliErrors } from './cli-errors.ts'
import { readText } from './input.ts'

export const instanceList = z.object({ instances: z.array(instanceView) })
export const keyList = z.object({ keys: z.array(keyView) })
export { createdKeyView, instanceView, keyView }

export type InstanceAnswer = z.output<typeof instanceView>
export type KeyAnswer = z.output<typeof keyView>

/** The instance of a name (in a space where one is named) or id; the hub says so when there is none. */
export async function findInstance(
  cli: Cli,
  command: Command,
  instance: string,
  space: string | undefined,
): Promise<InstanceAnswer> {
  const hub = cli.hub(command)
  const { instances } = readAnswer(instanceList, await hub.get('/api/service-instances', { space }))
  const [found, other] = instances.filter(each => each.name === instance)
  if (other) {
    const text = `There are several service instances ${instance}; name the space with --space.`
    throw cliErrors.ARGUMENT_WRONG({ text, command: 'instance' })
  }
  return found ?? readAnswer(instanceView, await hub.get(`/api/service-instances/${encodeURIComponent(instance)}`))
}

/** The key of a name or id; of several with one name the one that nothing has replaced. */
export async function findKey(cli: Cli, command: Command, instance: InstanceAnswer, key: string): Promise<KeyAnswer> {
  const hub = cli.hub(command)
  const { keys } = readAnswer(keyList, await hub.get(`/api/service-instances/${instance.id}/keys`))
  const named = keys.filter(each => each.id === key || each.name === key)
  const found = named.findLast(each => each.replacedBy === undefined) ?? named.at(-1)
  return found ?? readAnswer(keyView, await hub.get(`/api/service-keys/${encodeURIComponent(key)}`))
}

/** JSON on the command line, or in a file (- for standard input), as Cloud Foundry takes parameters. */
export async function readParameters(
  given: string | undefined,
  cli: Cli,
  command: string,
): Promise<Record<string, unknown>> {
  if (given === undefined) return {}
  const isJson = /^\s*\{/.test(given)
  const text = isJson ? given : await readText(given, cli.io)
  try {
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return { ...parsed }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw cliErrors.ARGUMENT_WRONG({ text: `The parameters are no JSON: ${reason}`, command }, { cause })
  }
  throw cliErrors.ARGUMENT_WRONG({ text: 'The parameters are no JSON object.', command })
}
