import type { Command } from './command-reader.ts'
import type { CommandText } from './command-text.ts'
import type { Connection } from './connection.ts'
import { badArgument, Refusal, texts } from './reply.ts'
import { readSequenceSet, uidsAtSequence, uidsInSet } from './sequence-set.ts'
import type { View } from './view.ts'

/** The selected folder of a connection; throws "Command received in Invalid state." without one. */
export function viewOf(connection: Connection): View {
  if (!connection.view) throw new Refusal('BAD', texts.invalidState)
  return connection.view
}

/** The same, for commands that change something: refused where the folder was only examined. */
export function writableViewOf(connection: Connection): View {
  const view = viewOf(connection)
  if (view.isReadOnly) throw new Refusal('NO', 'The folder is open for reading only.')
  return view
}

/** Reads the set that follows the verb: UIDs for UID commands, sequence numbers otherwise. */
export function readUids(
  view: View,
  { text, isUid }: Command,
): { readonly uids: number[]; readonly text: CommandText } {
  text.space()
  const set = readSequenceSet(text.word())
  if (!set) throw badArgument()
  const uids = isUid ? uidsInSet(set, view.uids) : uidsAtSequence(set, view.uids)
  if (!uids) throw new Refusal('BAD', 'The specified message set is invalid.')
  return { uids, text }
}
