import { fileURLToPath } from 'node:url'
import type { Contestant } from '../contestant.ts'

/** The shortest program that a Node programmer writes for this: imapflow and nodemailer, nothing kept on disk. */
export const pipe: Contestant = {
  name: 'pipe',
  setting:
    'imapflow FETCH in windows of 100, nodemailer pool of 16, next window fetched while one is sent, marked read',
  needs: [],
  sink: 'smtp',
  endsItself: true,
  async prepare(course) {
    const script = fileURLToPath(new URL('pipe-client.ts', import.meta.url))
    return { program: process.execPath, args: [script, JSON.stringify(course)] }
  },
}
