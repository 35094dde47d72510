import { asHubError, type HubError } from '../../kernel/error.ts'
import type { ImapConnection } from './connection.ts'
import { imapErrors } from './errors.ts'
import { decodeMailboxName } from './mailbox-name.ts'
import { textOf } from './response.ts'

/** How a server calls the folders of a user: `INBOX.` before each, and `.` between levels (RFC 2342). */
interface Namespace {
  readonly prefix: string
  /** Empty where folders have no levels. */
  readonly delimiter: string
}

/** The error to tell of a folder that was refused: FOLDER_PLACE where the server calls folders otherwise, else `thrown`. */
export async function explainFolder(connection: ImapConnection, folder: string, thrown: unknown): Promise<HubError> {
  const error = asHubError(thrown)
  const answer = String(error.fields['answer'])
  const isMissing = error.code === imapErrors.FOLDER_MISSING.code
  const mayBeMissing = error.code === imapErrors.COMMAND_REFUSED.code && !/NOPERM|permi|denied|quota/i.test(answer)
  if (!isMissing && !mayBeMissing) return error
  const name = nameWithin(await ownNamespace(connection), folder)
  if (name === folder) return error
  return imapErrors.FOLDER_PLACE({ user: connection.options.names.user, folder, name, answer }, { cause: thrown })
}

/** Of the user's own folders; undefined where the server does not say. */
async function ownNamespace(connection: ImapConnection): Promise<Namespace | undefined> {
  if (!connection.capabilities.has('NAMESPACE')) return undefined
  let found: Namespace | undefined
  await connection.run({
    text: 'NAMESPACE',
    onData(response) {
      if (response.name !== 'NAMESPACE') return false
      const quoted = /^\(\("((?:[^"\\]|\\.)*)" (?:"((?:[^"\\]|\\.)*)"|NIL)/i.exec(textOf(response.rest))
      if (!quoted) return true
      const [, prefix = '', delimiter = ''] = quoted.map(part => part?.replace(/\\(.)/g, '$1'))
      found = { prefix: decodeMailboxName(prefix), delimiter }
      return true
    },
  })
  return found
}

/** The folder as the server would call it. */
function nameWithin(namespace: Namespace | undefined, folder: string): string {
  if (!namespace || folder.toUpperCase() === 'INBOX') return folder
  const { prefix, delimiter } = namespace
  const levels = delimiter === '' || folder.includes(delimiter) ? folder : folder.replaceAll('/', delimiter)
  return levels.toLowerCase().startsWith(prefix.toLowerCase()) ? levels : prefix + levels
}
