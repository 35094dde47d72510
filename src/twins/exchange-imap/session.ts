import { strike } from '../twin.ts'
import type { Command, Unreadable } from './command-reader.ts'
import { type Connection, ConnectionOver } from './connection.ts'
import { strikeCommand } from './faults.ts'
import { fetch } from './fetch.ts'
import * as folders from './folder-commands.ts'
import { idle } from './idle.ts'
import { authenticate, logIn } from './log-in.ts'
import * as mails from './mail-commands.ts'
import { Refusal, texts } from './reply.ts'
import { search } from './search.ts'
import { viewOf } from './selection.ts'
import { isTokenOver, tellNews } from './session-news.ts'

type Handler = (connection: Connection, command: Command) => string | Promise<string>

/** Serves one client until it leaves, is sent away, or the connection breaks. */
export async function serve(connection: Connection): Promise<void> {
  const { wire, reader, world } = connection
  if (strike(world.faults().refuseConnection)) return wire.cut()
  wire.line(`* OK ${texts.greeting}`)
  await wire.flush()
  const proceed = () => {
    wire.line(`+ ${texts.ready}`)
    return wire.flush()
  }
  try {
    for (;;) {
      const limits = connection.state === 'in' ? world.limits : { ...world.limits, appendBytes: 0 }
      const command = await reader.command(limits, proceed)
      if (!command) return
      await answer(connection, command)
      await wire.flush()
    }
  } catch (error) {
    if (!(error instanceof ConnectionOver)) throw error
  } finally {
    folders.unselect(connection)
  }
}

async function answer(connection: Connection, command: Command | Unreadable): Promise<void> {
  const { wire, world } = connection
  if ('problem' in command) {
    wire.line(`${command.tag} BAD ${texts.unknownCommand}`)
    if (command.isFatal) await sayBye(connection, texts.closed)
    return
  }
  if (isTokenOver(connection)) await sayBye(connection, texts.tokenExpired)
  if (connection.view?.isInvalid) await sayBye(connection, texts.closed)
  const { slowAnswerMs } = world.faults()
  if (slowAnswerMs) await world.clock.sleep(slowAnswerMs)
  const result = await run(connection, command)
  const { loseAnswer } = world.faults()
  if (strikeCommand(loseAnswer, command.verb)) {
    await wire.cut()
    throw new ConnectionOver()
  }
  // RFC 3501 section 7.4.1: no EXPUNGE while FETCH, STORE or SEARCH by sequence number are answered; the twin keeps
  // quiet about it for the UID forms as well, so that a client has to cope with mails that are gone.
  tellNews(connection, !quietVerbs.includes(command.verb))
  wire.line(`${command.tag} ${result}`)
  if (command.verb === 'LOGOUT') await leave(connection)
}

/** Runs a command and returns what follows the tag. */
async function run(connection: Connection, command: Command): Promise<string> {
  try {
    await playFaults(connection, command.verb)
    return `OK ${await handlerOf(connection, command)(connection, command)}`
  } catch (error) {
    if (error instanceof Refusal) return `${error.status} ${error.message}`
    if (isFull(error)) return `NO [LIMIT] ${error.message}`
    throw error
  }
}

async function playFaults(connection: Connection, verb: string): Promise<void> {
  const { throttle, refuse } = connection.world.faults()
  if (throttle && strikeCommand(throttle, verb)) {
    if (!throttle.bye) throw new Refusal(throttle.answer, texts.throttled(throttle.backoffMs))
    await sayBye(connection, texts.throttled(throttle.backoffMs))
  }
  if (refuse && strikeCommand(refuse, verb)) throw new Refusal(refuse.answer, refuse.text)
}

/** Chooses by verb and state; an app that is authenticated but not connected gets told so, and at the second time BYE. */
function handlerOf(connection: Connection, { verb, isUid }: Command): Handler {
  const anyTime = anyTimeHandlers[verb]
  if (anyTime && !isUid) return anyTime
  if (connection.state === 'unconnected') return refuseUnconnected
  const isMoveMissing = verb === 'MOVE' && connection.world.faults().moveMissing === true
  const isKnown = isUid ? uidVerbs.includes(verb) : verb in greetedHandlers || verb in mailboxHandlers
  if (!isKnown || isMoveMissing) throw new Refusal('BAD', texts.unknownCommand)
  const handler = (connection.state === 'greeted' ? greetedHandlers : mailboxHandlers)[verb]
  if (!handler) throw new Refusal('BAD', texts.invalidState)
  return handler
}

const quietVerbs = ['FETCH', 'STORE', 'SEARCH']
const uidVerbs = ['FETCH', 'STORE', 'SEARCH', 'COPY', 'MOVE', 'EXPUNGE']

const anyTimeHandlers: Readonly<Record<string, Handler>> = {
  CAPABILITY(connection) {
    connection.wire.line(`* CAPABILITY ${capabilities(connection)}`)
    return 'CAPABILITY completed.'
  },
  NOOP: () => 'NOOP completed.',
  ID(connection) {
    connection.wire.line('* ID ("name" "Microsoft.Exchange.Imap4.Imap4Server" "version" "15.20")')
    return 'ID completed'
  },
  LOGOUT(connection) {
    connection.wire.line(`* BYE ${texts.bye}`)
    return 'LOGOUT completed.'
  },
}

const greetedHandlers: Readonly<Record<string, Handler>> = { AUTHENTICATE: authenticate, LOGIN: logIn }

const mailboxHandlers: Readonly<Record<string, Handler>> = {
  NAMESPACE: folders.namespace,
  LIST: folders.list,
  LSUB: folders.list,
  STATUS: folders.status,
  CREATE: folders.create,
  DELETE: folders.remove,
  RENAME: folders.rename,
  SUBSCRIBE: folders.subscribe,
  UNSUBSCRIBE: folders.subscribe,
  SELECT: folders.select,
  EXAMINE: folders.select,
  UNSELECT(connection) {
    viewOf(connection)
    return folders.unselect(connection)
  },
  CLOSE: folders.close,
  CHECK(connection) {
    viewOf(connection)
    return 'CHECK completed.'
  },
  APPEND: mails.append,
  FETCH: fetch,
  SEARCH: search,
  STORE: mails.store,
  COPY: mails.copy,
  MOVE: mails.move,
  EXPUNGE: mails.expunge,
  IDLE: idle,
}

/** Exchange Online as seen in logs of clients; MOVE shows only after log-in. */
function capabilities(connection: Connection): string {
  const move = connection.state === 'greeted' || connection.world.faults().moveMissing ? '' : 'MOVE '
  return `IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS ${move}ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+`
}

async function refuseUnconnected(connection: Connection, { tag }: Command): Promise<string> {
  connection.refusedCount += 1
  if (connection.refusedCount > 1) {
    connection.wire.line(`${tag} BAD ${texts.notConnected}`)
    await sayBye(connection, texts.closed)
  }
  throw new Refusal('BAD', texts.notConnected)
}

async function sayBye(connection: Connection, text: string): Promise<never> {
  connection.wire.line(`* BYE ${text}`)
  return leave(connection)
}

async function leave(connection: Connection): Promise<never> {
  await connection.wire.flush()
  throw new ConnectionOver()
}

function isFull(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.code === 'TWIN_FULL'
}
