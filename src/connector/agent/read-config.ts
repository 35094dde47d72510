import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { LineCounter, parseDocument } from 'yaml'
import type { z } from 'zod'
import { KiB } from '../../kernel/size.ts'
import { aliasWords, findAlias } from '../../kernel/yaml-alias.ts'
import type { HttpProxy } from '../../protocols/net/http-proxy.ts'
import { type ConnectorConfig, connectorConfig, type VirtualHost } from './connector-config.ts'
import { connectorErrors } from './errors.ts'
import { splitAddress } from './hub-node.ts'

const fileBytesMax = 4096 * KiB

export interface ReadConfig {
  readonly config: ConnectorConfig
  /** Every file it was made of: the configuration first, then what it names. */
  readonly files: readonly string[]
}

/** Reads connector.yaml with the files it names; throws CONNECTOR_CONFIG_… with every mistake at its line and column. */
export async function readConnectorConfig(file: string): Promise<ReadConfig> {
  const text = await readSmall(file).catch((cause: unknown) => {
    throw connectorErrors.CONFIG_UNREADABLE({ file, text: wordsOf(cause) }, { cause })
  })
  const source = parseSource(text, file)
  const folder = dirname(resolve(file))
  const files = [resolve(file)]
  const virtualHosts: VirtualHost[] = []
  const problems: string[] = []
  for (const [written, host] of source.hosts) {
    const { tls, ...rest } = host
    if (virtualHosts.some(({ address }) => address === written.toLowerCase())) {
      problems.push(source.problem(['virtual-hosts', written], 'this virtual host stands here twice'))
    }
    const ca = tls?.ca === undefined ? undefined : resolve(folder, tls.ca)
    const trusted = ca === undefined ? undefined : await readAuthority(ca)
    if (ca !== undefined) files.push(ca)
    if (trusted?.because !== undefined) {
      problems.push(source.problem(['virtual-hosts', written, 'tls', 'ca'], `${tls?.ca} ${trusted.because}`))
    }
    virtualHosts.push({
      ...rest,
      address: written.toLowerCase(),
      ...(tls && {
        tls: {
          ...(trusted?.pem !== undefined && { ca: trusted.pem }),
          ...(tls.servername !== undefined && { servername: tls.servername }),
        },
      }),
    })
  }
  const { data, 'virtual-hosts': _hosts, hub, ...rest } = source.value
  const { proxy: written, ...hubWithout } = hub
  const proxy = written && (await readProxy(written, folder))
  if (proxy?.file !== undefined) files.push(proxy.file)
  if (proxy?.because !== undefined) {
    problems.push(source.problem(['hub', 'proxy', 'password-file'], proxy.because))
  }
  if (problems.length > 0) throw connectorErrors.CONFIG_WRONG({ text: problems.join(' ') })
  return {
    config: {
      ...rest,
      hub: { ...hubWithout, ...(proxy?.way && { proxy: proxy.way }) },
      dataFolder: resolve(folder, data),
      virtualHosts,
    },
    files,
  }
}

type WrittenProxy = NonNullable<z.output<typeof connectorConfig>['hub']['proxy']>

interface ReadProxy {
  readonly way?: HttpProxy
  /** With its password. */
  readonly file?: string
  /** Why that file is of no use. */
  readonly because?: string
}

async function readProxy(written: WrittenProxy, folder: string): Promise<ReadProxy> {
  const { address, user, 'password-file': name } = written
  const setting = 'hub.proxy in connector.yaml'
  if (user === undefined || name === undefined) return { way: proxyAt(address, undefined, setting) }
  const file = resolve(folder, name)
  try {
    const password = (await readSmall(file)).replace(/\r?\n$/, '')
    return password === ''
      ? { file, because: `${name} is empty` }
      : { file, way: proxyAt(address, { user, password }, setting) }
  } catch (cause) {
    return { file, because: `${name} cannot be read (${wordsOf(cause)})` }
  }
}

/** `setting`: where people name it. */
export function proxyAt(address: string, logIn: HttpProxy['logIn'], setting: string): HttpProxy {
  return { ...splitAddress(address), logIn, setting }
}

/** The text as values that fit the schema, with the names of virtual hosts as they are written. */
function parseSource(text: string, file: string) {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, version: '1.2', schema: 'core', uniqueKeys: true })
  const [broken] = document.errors
  if (broken) {
    throw connectorErrors.CONFIG_WRONG({ text: `${placeOf(broken.pos[0])}: ${broken.message.split('\n')[0] ?? ''}` })
  }
  const alias = findAlias(document)
  if (alias !== undefined) throw connectorErrors.CONFIG_WRONG({ text: `${placeOf(alias)}: ${aliasWords}.` })
  const plain: unknown = document.toJS({ maxAliasCount: 0 }) ?? {}
  const parsed = connectorConfig.safeParse(plain)
  if (!parsed.success) {
    const problems = parsed.error.issues.flatMap(flatten).map(({ path, message }) => problem(path, message))
    throw connectorErrors.CONFIG_WRONG({ text: problems.join(' ') })
  }
  const written = Object.keys((plain as { 'virtual-hosts': object })['virtual-hosts'])
  const hosts = written.flatMap(name => {
    const host = parsed.data['virtual-hosts'][name.toLowerCase()]
    return host ? [[name, host] as const] : []
  })
  return { value: parsed.data, hosts, problem }

  function problem(path: readonly PropertyKey[], message: string): string {
    return `${placeOf(offsetOf(path))}: ${path.join(' > ')}: ${message}.`
  }

  /** Where a path stands, or the nearest thing above it that stands in the text. */
  function offsetOf(path: readonly PropertyKey[]): number {
    for (let length = path.length; length > 0; length--) {
      const parent = document.getIn(path.slice(0, length - 1), true)
      const key = keyRange(parent, path[length - 1])
      if (key !== undefined) return key
      const node = document.getIn(path.slice(0, length), true)
      if (hasRange(node)) return node.range[0]
    }
    return 0
  }

  function placeOf(offset: number): string {
    const { line, col } = lines.linePos(offset)
    return `${file}:${line}:${col}`
  }
}

interface Finding {
  readonly path: readonly PropertyKey[]
  readonly message: string
}

/** An issue of the schema; of the branches of a union the one that got furthest is the one that was meant. */
function flatten(issue: z.core.$ZodIssue): readonly Finding[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(key => ({ path: [...issue.path, key], message: 'this key is not known here' }))
  }
  if (issue.code === 'invalid_key') {
    return [{ path: issue.path, message: issue.issues[0]?.message ?? issue.message }]
  }
  if (issue.code === 'invalid_union') {
    const branches = issue.errors.map(branch => branch.flatMap(flatten))
    const isDeep = (branch: readonly Finding[]) => branch.some(({ path }) => path.length > 0)
    const meant = branches.find(isDeep) ?? branches[0] ?? []
    return meant.map(({ path, message }) => ({ path: [...issue.path, ...path], message }))
  }
  const isMissing = issue.code === 'invalid_type' && issue.message.endsWith('received undefined')
  return [{ path: issue.path, message: isMissing ? 'this key is missing' : issue.message }]
}

function keyRange(parent: unknown, name: PropertyKey | undefined): number | undefined {
  if (typeof parent !== 'object' || parent === null || !('items' in parent) || !Array.isArray(parent.items)) return
  for (const item of parent.items as readonly unknown[]) {
    if (typeof item !== 'object' || item === null || !('key' in item)) continue
    const { key } = item
    if (hasRange(key) && 'value' in key && String(key.value) === String(name)) return key.range[0]
  }
  return undefined
}

function hasRange(node: unknown): node is { readonly range: readonly [number, number, number] } {
  return typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range)
}

async function readAuthority(file: string): Promise<{ readonly pem?: string; readonly because?: string }> {
  try {
    const pem = await readSmall(file)
    const because = explainUnusable(pem)
    return because === undefined ? { pem } : { because }
  } catch (cause) {
    return { because: `cannot be read (${wordsOf(cause)})` }
  }
}

/** TLS passes over what it cannot read, and then says of the server that nobody knows who signed for it. */
function explainUnusable(pem: string): string | undefined {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
  try {
    const certificates = blocks.map(each => new X509Certificate(each))
    return certificates.length > 0 ? undefined : 'holds no PEM certificate'
  } catch (cause) {
    return `holds a certificate that cannot be read (${wordsOf(cause)})`
  }
}

async function readSmall(file: string): Promise<string> {
  const bytes = await readFile(file)
  if (bytes.length > fileBytesMax) throw new Error(`it is larger than ${fileBytesMax} bytes`)
  return bytes.toString('utf8')
}

function wordsOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
