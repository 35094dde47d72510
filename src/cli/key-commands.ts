import { unlink } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { z } from 'zod'
import { readAnswer } from './answers.ts'
import type { Cli } from './cli.ts'
import { cliErrors, exitCodes } from './cli-errors.ts'
import { openNewFile, readText } from './input.ts'
import { facts, table } from './print.ts'
import {
  createdKeyView,
  findInstance,
  findKey,
  type KeyAnswer,
  keyList,
  keyView,
  readParameters,
} from './service-answers.ts'

interface MakeOptions {
  readonly space?: string
  readonly parameters?: string
  readonly certificate?: boolean
  readonly x509?: string
  readonly validity?: string
  readonly out?: string
}

/** key list, show, create, rotate, revoke */
export function keyCommands(program: Command, cli: Cli): void {
  const key = program.command('key').description('service keys: what a caller proves itself with')
  const inSpace = (command: Command) =>
    command.option('--space <space>', 'space of the instance, where its name alone is not one')

  inSpace(key.command('list [instance]').description('keys of an instance, or those of all that end soon'))
    .option('--expiring-within <time>', 'keys of all instances that end within it; exit code 1 when there are any')
    .action(
      async (instance: string | undefined, options: { space?: string; expiringWithin?: string }, command: Command) => {
        const hub = cli.hub(command)
        if (instance !== undefined) {
          const { id } = await findInstance(cli, command, instance, options.space)
          const answer = readAnswer(keyList, await hub.get(`/api/service-instances/${id}/keys`))
          cli.show(command, answer, () => listed(answer.keys))
          return
        }
        const expiringWithin = options.expiringWithin ?? '30d'
        const answer = readAnswer(keyList, await hub.get('/api/service-keys', { expiringWithin }))
        if (answer.keys.length > 0) cli.exitWith(exitCodes.notInOrder)
        cli.show(command, answer, () =>
          answer.keys.length > 0 ? listed(answer.keys) : `No key ends within ${expiringWithin}.\n`,
        )
      },
    )

  inSpace(key.command('show <instance> <key>').description('one key by name or id')).action(
    async (instance: string, name: string, options: { space?: string }, command: Command) => {
      const answer = await findKey(cli, command, await findInstance(cli, command, instance, options.space), name)
      cli.show(command, answer, () => describe(answer))
    },
  )

  making(
    inSpace(key.command('create <instance> <name>').description('creates a key and shows its secret this once')),
  ).action(async (instance: string, name: string, options: MakeOptions, command: Command) => {
    const { id } = await findInstance(cli, command, instance, options.space)
    const parameters = await parametersOf(options, cli)
    const body = { name, ...(parameters && { parameters }) }
    await make(command, `/api/service-instances/${id}/keys`, body, options.out)
  })

  making(inSpace(key.command('rotate <instance> <key>').description('a new key now; the old one works on for a while')))
    .option('--overlap <time>', 'how long the old one works on (default 7d); 0s ends it at once')
    .action(async (instance: string, name: string, options: MakeOptions & { overlap?: string }, command: Command) => {
      const { overlap } = options
      const { id } = await findKey(cli, command, await findInstance(cli, command, instance, options.space), name)
      const parameters = await parametersOf(options, cli)
      const body = { ...(overlap !== undefined && { overlap }), ...(parameters && { parameters }) }
      await make(command, `/api/service-keys/${id}/rotate`, body, options.out)
    })

  inSpace(
    key.command('revoke <instance> <key>').description('its secret, certificate and tokens count no more at once'),
  ).action(async (instance: string, name: string, options: { space?: string }, command: Command) => {
    const { id } = await findKey(cli, command, await findInstance(cli, command, instance, options.space), name)
    const answer = readAnswer(keyView, await cli.hub(command).send('DELETE', `/api/service-keys/${id}`))
    cli.show(command, answer, () => `Key ${answer.name} (${answer.id}) is revoked.\n`)
  })

  /** What the hub answers is printed as JSON in any case: it is what the caller gets, in the shape of SAP's keys. */
  async function make(command: Command, path: string, body: object, out: string | undefined): Promise<void> {
    // The file first: a key whose secret could be kept nowhere would have to be revoked at once.
    const file = out === undefined ? undefined : await openNewFile(resolve(cli.io.cwd, out))
    try {
      const { document } = readAnswer(createdKeyView, await cli.hub(command).send('POST', path, body))
      const text = `${JSON.stringify(document, null, 2)}\n`
      if (!file) {
        cli.io.stdout.write(text)
        if (cli.io.stdout.isTTY) cli.io.stderr.write('Keep it now: the hub cannot show it again.\n')
        return
      }
      await file.handle.writeFile(text)
      cli.io.stdout.write(`Key ${document.keyId} is in ${out}, readable by you alone. The hub cannot show it again.\n`)
    } catch (thrown) {
      if (file) await unlink(file.path)
      throw thrown
    } finally {
      await file?.handle.close()
    }
  }
}

function making(command: Command): Command {
  return command
    .option('--certificate', 'a certificate of the hub with its private key, instead of a secret')
    .option('--x509 <file>', 'a certificate that the caller has already (PEM); - reads standard input')
    .option('--validity <days>', 'how long it is valid')
    .option('-c, --parameters <json>', 'parameters as JSON, or a file that holds it: {"key-type": "certificate"}')
    .option('--out <file>', 'write the credential to a new file that only you can read')
}

async function parametersOf(options: MakeOptions, cli: Cli): Promise<Record<string, unknown> | undefined> {
  const given = await readParameters(options.parameters, cli, 'key')
  const parameters = {
    ...given,
    ...(options.certificate && { 'key-type': 'certificate' }),
    ...(options.x509 !== undefined && {
      'key-type': 'certificate_external',
      'X.509': await readText(options.x509, cli.io),
    }),
    ...(options.validity !== undefined && { validity: readDays(options.validity) }),
  }
  return Object.keys(parameters).length > 0 ? parameters : undefined
}

function readDays(text: string): number {
  if (/^\d{1,4}d?$/.test(text)) return Number.parseInt(text, 10)
  throw cliErrors.ARGUMENT_WRONG({ text: `--validity takes a number of days, not "${text}".`, command: 'key' })
}

function listed(keys: readonly KeyAnswer[]): string {
  return table(
    ['KEY', 'NAME', 'KIND', 'STATE', 'ENDS', 'LAST USE', 'FROM', 'REPLACED BY'],
    keys.map(each => [
      each.id,
      each.name,
      each.kind,
      each.state,
      each.expiresAt ?? 'never',
      each.lastUse?.at ?? 'never',
      each.lastUse?.address,
      each.replacedBy,
    ]),
  )
}

function describe(key: z.output<typeof keyView>): string {
  const { certificate } = key
  return facts([
    ['Key', key.name],
    ['Id', key.id],
    ['Kind', key.kind],
    ['State', key.state],
    ['Created', key.createdAt],
    ['Ends', key.expiresAt ?? 'never'],
    ['Revoked', key.revokedAt],
    ['Replaced by', key.replacedBy],
    ['Last use', key.lastUse ? `${key.lastUse.at} from ${key.lastUse.address}` : 'never'],
    ['Subject', certificate?.subject.replaceAll('\n', ', ')],
    ['Issuer', certificate?.issuer.replaceAll('\n', ', ')],
    ['Thumbprint', certificate?.thumbprint],
    ['Stands for', certificate && (certificate.pinned ? 'this very certificate' : 'any newer one of these names')],
  ])
}
