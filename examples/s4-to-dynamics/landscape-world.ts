import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { type S4Flow, type S4Landscape, startS4Landscape } from '../../src/cli/demo/s4-landscape.ts'
import { type Hub, startHub } from '../../src/main.ts'
import { makeTwinCertificate } from '../../src/twins/certificate.ts'

export interface ExampleWorld extends S4Landscape {
  readonly hub: Hub
  readonly endpointsUrl: string
  /** Ends hub and twins. */
  close(): Promise<void>
}

/** A hub with flows of this example and the twins around it. For tests. */
export async function startExample(flows: readonly S4Flow[]): Promise<ExampleWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-s4-'))
  const { cert, key, ca } = await makeTwinCertificate()
  const landscape = await startS4Landscape({ tls: { cert, key } }, flows)
  const hub = await startHub({
    dataFolder: folder,
    stage: 'dev',
    flowFiles: landscape.flowFiles,
    params: landscape.params,
    trustedCertificates: [ca],
    admin: { host: '127.0.0.1', port: 0 },
    endpoints: { host: '127.0.0.1', port: 0 },
    log: { level: 'error', format: 'json', output: new Writable({ write: (_chunk, _encoding, done) => done() }) },
    beforeFlows: parts => landscape.prepare(parts),
  })
  const { endpointsUrl } = hub
  landscape.connect(endpointsUrl)
  return {
    ...landscape,
    hub,
    endpointsUrl,
    async close() {
      await hub.close()
      await landscape.stop()
      await rm(folder, { recursive: true })
    },
  }
}
