import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Writable } from 'node:stream'
import { type Hub, type HubOptions, startHub } from '../../src/main.ts'
import type { DeliveryRow, DeliveryState } from '../../src/store/port.ts'
import { waitFor } from '../foreign/servers/wait.ts'

const endMs = 60_000

/** A hub in this process with flow documents that a test writes, in a folder of its own. */
export class FlowHub {
  readonly folder = mkdtempSync(join(tmpdir(), 'isthmus-flows-'))
  readonly flowFiles: string[] = []
  readonly #more: Partial<HubOptions>
  #hub: Hub | undefined

  constructor(more: Partial<HubOptions> = {}) {
    this.#more = more
  }

  get hub(): Hub {
    if (!this.#hub) throw new Error('The hub does not run.')
    return this.#hub
  }

  get url(): string {
    return this.hub.endpointsUrl
  }

  get dataFolder(): string {
    return join(this.folder, 'data')
  }

  /** Writes a flow document; the hub started next runs it. */
  flow(name: string, text: string): void {
    this.flowFiles.push(this.write(`flows/${name}.yaml`, `flow: ${name}\n${text}`))
  }

  write(name: string, content: string): string {
    const file = join(this.folder, name)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, content)
    return file
  }

  /** Starts it, or starts it anew on the same data; every flow must run. */
  async start(
    users: Readonly<Record<string, { readonly user: string; readonly password: string }>> = {},
  ): Promise<void> {
    await this.#hub?.close()
    const hub = await startHub({
      dataFolder: this.dataFolder,
      stage: 'test',
      flowFiles: () => [...this.flowFiles],
      flowFolders: [join(this.folder, 'flows')],
      admin: { host: '127.0.0.1', port: 0 },
      endpoints: { host: '127.0.0.1', port: 0 },
      log: { level: 'error', format: 'json', output: new Writable({ write: (_chunk, _encoding, done) => done() }) },
      ...this.#more,
      async beforeFlows({ credentials }) {
        const known = new Set((await credentials.list()).map(({ name }) => name))
        for (const [name, fields] of Object.entries(users)) {
          if (!known.has(name)) await credentials.create(name, { kind: 'basic', ...fields })
        }
      },
    })
    this.#hub = hub
    const [failed] = hub.failedFlows
    if (failed) throw failed.error
  }

  async rows(state?: DeliveryState): Promise<readonly DeliveryRow[]> {
    return (await this.hub.store.find({ state, limit: 1000 })).toReversed()
  }

  /** Waits until so many deliveries have ended like this; all of them, oldest first. */
  ended(count: number, state: DeliveryState = 'delivered'): Promise<readonly DeliveryRow[]> {
    return waitFor(`${count} ${state}`, endMs, async () => {
      const found = await this.rows(state)
      return found.length >= count ? found : undefined
    })
  }

  async close(): Promise<void> {
    await this.#hub?.close()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
