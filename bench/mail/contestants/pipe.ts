import { fileURLToPath } from 'node:url'
import type { Contestant } from '../contestant.ts'

const batch = fileURLToPath(new URL('pipe-client.ts', import.meta.url))
const onePerTurn = fileURLToPath(new URL('pipe-one-client.ts', import.meta.url))

function pipeOf(name: string, setting: string, script: string, ...args: string[]): Contestant {
  return {
    name,
    setting: `imapflow and nodemailer, nothing kept on disk: ${setting}`,
    needs: [],
    sink: 'smtp',
    endsItself: true,
    async prepare(course) {
      return { program: process.execPath, args: [script, JSON.stringify(course), ...args] }
    },
  }
}

/** Short programs that a Node programmer writes for this, from the first idea to the last. */
export const pipes: readonly Contestant[] = [
  pipeOf('pipe', 'FETCH in windows of 100, pool of 5 connections (the default), marked read', batch),
  pipeOf('pipe-16', 'FETCH in windows of 100, pool of 16 connections, marked read', batch, '16'),
  pipeOf('pipe-one', 'fetchOne, sendMail on one connection, marked read, and the next', onePerTurn),
]
