import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join, resolve } from 'node:path'
import { type ServerProcess, startProcess } from '../foreign/servers/server-process.ts'
import { waitFor } from '../foreign/servers/wait.ts'

const root = resolve(import.meta.dirname, '../..')
const readyMs = 60_000

/** A fenced block of a guide: a file (`file=NAME`), commands, or one that goes on (`background`). */
export interface GuideBlock {
  readonly kind: string
  readonly info: string
  readonly text: string
  /** Path of the file that it is, relative to the folder of the reader. */
  readonly file: string | undefined
}

export function readGuide(name: string): { readonly text: string; readonly blocks: readonly GuideBlock[] } {
  const text = readFileSync(join(root, 'docs/guides', `${name}.md`), 'utf8')
  const blocks = [...text.matchAll(/^```(\w+) ?(.*)\n([\s\S]*?)^```/gm)].map(
    ([, kind = '', info = '', content = '']) => {
      return { kind, info, text: content, file: /\bfile=(\S+)/.exec(info)?.[1] }
    },
  )
  return { text, blocks }
}

export interface MachineOptions {
  readonly folder: string
  readonly environment: NodeJS.ProcessEnv
  /** Names of the guide, and what they are here. */
  readonly replacements: readonly (readonly [string, string])[]
}

/** A reader's machine: a folder of its own, and both programs among its commands. */
export class GuideMachine {
  readonly folder: string
  readonly #environment: NodeJS.ProcessEnv
  readonly #replacements: MachineOptions['replacements']
  readonly #programs: ServerProcess[] = []

  constructor({ folder, environment, replacements }: MachineOptions) {
    this.folder = folder
    this.#replacements = replacements
    const bin = join(folder, 'bin')
    mkdirSync(bin, { recursive: true })
    for (const name of ['isthmus', 'isthmus-connector']) {
      const command = join(bin, name)
      writeFileSync(command, `#!/bin/sh\nexec '${process.execPath}' '${join(root, 'src/cli', name)}.js' "$@"\n`)
      chmodSync(command, 0o755)
    }
    const path = [bin, dirname(process.execPath), process.env['PATH']].join(delimiter)
    this.#environment = { ...process.env, ...environment, NO_COLOR: '1', PATH: path }
  }

  write(file: string, text: string): void {
    mkdirSync(dirname(join(this.folder, file)), { recursive: true })
    writeFileSync(join(this.folder, file), this.localised(text))
  }

  /** Runs a line as a person types it; throws unless it ends with 0. Resolves with what it wrote. */
  async run(line: string): Promise<string> {
    const { code, output } = await this.try(line)
    if (code === 0) return output
    throw new Error(`${line} ended with ${code}\n${output}\n${this.output().slice(-4000)}`)
  }

  async try(line: string): Promise<{ readonly code: number; readonly output: string }> {
    const child = spawn('sh', ['-c', this.localised(line)], { cwd: this.folder, env: this.#environment })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', chunk => {
        output += chunk
      })
    }
    const code = await new Promise<number>(done => child.once('close', exit => done(exit ?? -1)))
    return { code, output }
  }

  /** Starts what the line says and waits until it is ready. One that was started before is stopped first. */
  async start(line: string, isReady: (output: string) => unknown): Promise<void> {
    await this.stop()
    const started = startProcess('sh', ['-c', `exec ${this.localised(line)}`], {
      cwd: this.folder,
      env: this.#environment,
    })
    this.#programs.push(started)
    await waitFor(`${line} to be ready`, readyMs, async () => {
      if (!started.isRunning()) throw new Error(started.output())
      return Boolean(await isReady(started.output()))
    })
  }

  /** What the program that was started last has written. */
  output(): string {
    return this.#programs.at(-1)?.output() ?? ''
  }

  async stop(): Promise<void> {
    for (const program of this.#programs) await program.stop()
  }

  /** A text of the guide with the names that things have here. */
  localised(text: string): string {
    return this.#replacements.reduce((so, [from, to]) => so.replaceAll(from, to), text)
  }
}

/** Whether a hub at this port takes requests. */
export async function isHubReady(adminPort: number): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${adminPort}/readyz`).catch(() => undefined)
  return answer?.ok ?? false
}
