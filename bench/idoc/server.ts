import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import Fastify from 'fastify'
import { Pool } from 'undici'
import { startHub } from '../../src/main.ts'
import { loadMappingSpec } from '../../src/steps/mapping-spec.ts'
import { startNodeRed } from './node-red.ts'
import { readWithSaxes } from './saxes-idoc.ts'

/** One contestant in a process of its own, so that its CPU time is its alone. Speaks over IPC. */
interface Contestant {
  /** Takes an IDoc by POST. */
  readonly url: string
  close(): Promise<void>
}

const mappingFile = resolve(import.meta.dirname, '../../examples/s4-to-dynamics/mappings/material.ts')
const settings = { language: 'EN', 'valuation-area': 'FR20' }
const [, , kind = '', target = '', nodeRedFolder = ''] = process.argv

/** The hub as people run it, with its store on the disk: once, in order by material, retried, kept. */
async function hubContestant(): Promise<Contestant> {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-bench-'))
  const file = join(folder, 'materials.yaml')
  writeFileSync(
    file,
    `flow: materials
from: { idoc: { path: /idoc } }
steps:
  - map: { spec: ./mapping.ts, with: ${JSON.stringify(settings)} }
to:
  http: { url: "${target}/products/\${message.objectKey}", method: PATCH, idempotency-key: Idempotency-Key }
`,
  )
  writeFileSync(join(folder, 'mapping.ts'), `export { default } from ${JSON.stringify(mappingFile)}\n`)
  const hub = await startHub({
    dataFolder: join(folder, 'data'),
    stage: 'bench',
    flowFiles: [file],
    admin: { host: '127.0.0.1', port: 0 },
    endpoints: { host: '127.0.0.1', port: 0 },
    log: { level: 'info', format: 'json', colours: false, output: { write() {} } },
  })
  return {
    url: `${hub.endpointsUrl}/idoc`,
    async close() {
      await hub.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** What a programmer writes first: saxes and the same mapping, nothing kept, the caller waits for the PATCH. */
async function bareContestant(): Promise<Contestant> {
  const mapping = await loadMappingSpec(mappingFile, 'default')
  const pool = new Pool(target, { connections: 64 })
  const server = Fastify()
  server.addContentTypeParser('application/x-sap.idoc', { parseAs: 'string' }, (_request, body, done) =>
    done(null, body),
  )
  server.post('/idoc', async (request, reply) => {
    const { values, createOnly } = mapping.run(readWithSaxes(request.body as string), { settings })
    const body = JSON.stringify({ ...values, '@create': createOnly })
    const headers = { 'content-type': 'application/json' }
    const answer = await pool.request({
      method: 'PATCH',
      path: `/products/${String(values['productnumber'])}`,
      headers,
      body,
    })
    await answer.body.dump()
    return reply.code(answer.statusCode === 204 ? 200 : 502).send('')
  })
  const origin = await server.listen({ host: '127.0.0.1', port: 0 })
  return {
    url: `${origin}/idoc`,
    async close() {
      await server.close()
      await pool.close()
    },
  }
}

async function nodeRedContestant(): Promise<Contestant> {
  const userDir = mkdtempSync(join(tmpdir(), 'isthmus-bench-'))
  const { url, close } = await startNodeRed(nodeRedFolder, userDir, target)
  return {
    url,
    async close() {
      await close()
      rmSync(userDir, { recursive: true, force: true })
    },
  }
}

const contestants = { hub: hubContestant, bare: bareContestant, 'node-red': nodeRedContestant }
const contestant = await contestants[kind as keyof typeof contestants]()
const end = () => void contestant.close().then(() => process.exit(0))
// Whoever started it may have ended with an error.
process.on('disconnect', end)
process.on('message', message => {
  if (message === 'end') {
    end()
  } else {
    const { user, system } = process.cpuUsage()
    process.send?.({ cpuMicros: user + system })
  }
})
process.send?.({ url: contestant.url })
