import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { corpusAddresses } from '../../test/corpus/named-mail.ts'
import { type Dovecot, dovecotPassword } from '../../test/foreign/servers/dovecot.ts'
import { type ServerProcess, startProcess } from '../../test/foreign/servers/server-process.ts'
import { type SmtpSink, startSmtpSink } from '../../test/foreign/servers/smtp-sink.ts'
import { waitFor } from '../../test/foreign/servers/wait.ts'
import { makeWorkFolder } from '../../test/foreign/servers/work-folder.ts'
import type { Contestant } from './contestant.ts'
import { endedChildrenCpuSeconds } from './measure.ts'

/** A client that has not delivered by then has failed. The slowest takes a minute and a half for 2,000 mails. */
const roundMsMax = 10 * 60_000
const endMsMax = 30_000
/** Who sends twice does so soon; a sink that is watched a little longer sees it. */
const settleMs = 500

export interface RoundResult {
  readonly contestant: string
  /** From the start of the process to the arrival of the last mail. */
  readonly seconds: number
  /** From the arrival of the first mail to that of the last: without the start of the process and the log-in. */
  readonly flowSeconds: number
  /** All CPU time of the process and its children, start and end included. */
  readonly cpuSeconds: number
  readonly receivedCount: number
  /** Set when the round does not count: why. */
  readonly invalid?: string
}

/** One client empties one mailbox into one fresh sink. */
export async function runRound(
  contestant: Contestant,
  dovecot: Dovecot,
  user: string,
  mailCount: number,
): Promise<RoundResult> {
  return onCourse(contestant, dovecot, user, async ({ sink, start }) => {
    const cpuBefore = endedChildrenCpuSeconds()
    const startedMs = performance.now()
    const client = start()
    const inTime = await waitFor('all mails', roundMsMax, () => {
      return sink.receivedCount() >= mailCount || (!client.isRunning() ? 'ended' : false)
    }).catch(() => 'late')
    const endedWell = await letEnd(contestant, client, () => dovecot.unreadCount(user))
    await sleep(settleMs)
    const receivedCount = sink.receivedCount()
    const invalid =
      receivedCount !== mailCount
        ? `${receivedCount} of ${mailCount} mails arrived (${inTime === true ? 'too many' : inTime})`
        : endedWell
    return {
      contestant: contestant.name,
      seconds: ((sink.lastArrivalMs() ?? Number.NaN) - startedMs) / 1000,
      flowSeconds: ((sink.lastArrivalMs() ?? Number.NaN) - (sink.firstArrivalMs() ?? Number.NaN)) / 1000,
      cpuSeconds: endedChildrenCpuSeconds() - cpuBefore,
      receivedCount,
      ...(invalid === undefined ? {} : { invalid: `${invalid}; ${client.output().slice(-500)}` }),
    }
  })
}

export interface Track {
  readonly sink: SmtpSink
  /** Starts the client now. */
  start(): ServerProcess
}

/** Sets sink, folder and settings up for one client and one mailbox, and takes all down again. */
export async function onCourse<T>(
  contestant: Contestant,
  dovecot: Dovecot,
  user: string,
  ride: (track: Track) => Promise<T>,
): Promise<T> {
  const folder = makeWorkFolder('ben')
  const home = join(folder.path, 'home')
  mkdirSync(home)
  const caFile = join(folder.path, 'ca.pem')
  writeFileSync(caFile, dovecot.ca)
  const sink = await startSmtpSink({ lmtp: contestant.sink === 'lmtp' })
  let client: ServerProcess | undefined
  try {
    const { program, args, env } = await contestant.prepare({
      imapsPort: dovecot.imapsPort,
      caFile,
      user,
      password: dovecotPassword,
      sinkPort: sink.port,
      recipient: corpusAddresses.sap,
      folder: home,
    })
    const start = () => {
      client = startProcess(program, args, { env: { ...process.env, HOME: home, ...env }, cwd: home })
      return client
    }
    return await ride({ sink, start })
  } finally {
    await client?.stop()
    await sink.stop()
    folder.remove()
  }
}

/** A client that ends itself is waited for; a server is stopped when it has marked the last mail as read. */
async function letEnd(
  contestant: Contestant,
  client: ServerProcess,
  unreadCount: () => number,
): Promise<string | undefined> {
  try {
    if (contestant.endsItself) await waitFor(`${contestant.name} to end`, endMsMax, () => !client.isRunning())
    else await waitFor(`${contestant.name} to mark all mails`, endMsMax, () => unreadCount() === 0)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    await client.stop()
  }
}
