import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'

const version = '5.0.7'

/** Installs Node-RED from the registry of npm, which takes a minute; a folder that has it already is used as it is. */
export async function installNodeRed(folder: string): Promise<void> {
  if (existsSync(join(folder, 'node_modules', 'node-red'))) return
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true }')
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  await promisify(execFile)(npm, ['install', `node-red@${version}`, '--no-audit', '--no-fund'], { cwd: folder })
}

/** The part of Node-RED's embedding interface that is used. */
interface NodeRed {
  init(server: Server, settings: object): void
  start(): Promise<void>
  stop(): Promise<void>
  readonly httpNode: RequestListener
  readonly events: { once(name: 'flows:started', listener: () => void): void }
}

/** Starts Node-RED with one flow: http in, xml, function, http request, http response. Nothing is kept on the disk. */
export async function startNodeRed(folder: string, userDir: string, target: string) {
  writeFileSync(join(userDir, 'flows.json'), JSON.stringify(flowOf(target)))
  const nodeRed = createRequire(join(folder, 'package.json'))('node-red') as NodeRed
  const server = createServer((request, response) => nodeRed.httpNode(request, response))
  nodeRed.init(server, {
    userDir,
    flowFile: 'flows.json',
    httpAdminRoot: false,
    httpNodeRoot: '/',
    telemetry: { enabled: false },
    logging: { console: { level: 'off', metrics: false, audit: false } },
  })
  const started = new Promise<void>(resolve => nodeRed.events.once('flows:started', resolve))
  await nodeRed.start()
  await started
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/idoc`,
    async close() {
      server.closeAllConnections()
      server.close()
      await nodeRed.stop()
    },
  }
}

function flowOf(target: string): readonly object[] {
  const tab = { z: 'tab', x: 0, y: 0 }
  return [
    { id: 'tab', type: 'tab', label: 'materials' },
    { ...tab, id: 'in', type: 'http in', name: '', url: '/idoc', method: 'post', upload: false, wires: [['xml']] },
    { ...tab, id: 'xml', type: 'xml', name: '', property: 'payload', attr: '', chr: '', wires: [['map']] },
    { ...tab, id: 'map', type: 'function', name: '', func: mapOf(target), outputs: 1, libs: [], wires: [['patch']] },
    {
      ...tab,
      id: 'patch',
      type: 'http request',
      name: '',
      method: 'PATCH',
      ret: 'txt',
      url: '',
      // Connections stay open, as those of the others do.
      persist: true,
      headers: [],
      wires: [['status']],
    },
    {
      ...tab,
      id: 'status',
      type: 'function',
      name: '',
      func: `return { req: msg.req, res: msg.res, payload: '', statusCode: msg.statusCode === 204 ? 200 : 502 }`,
      outputs: 1,
      libs: [],
      wires: [['out']],
    },
    { ...tab, id: 'out', type: 'http response', name: '', statusCode: '', headers: {}, wires: [] },
  ]
}

/** The mapping of examples/s4-to-dynamics/mappings/material.ts as somebody writes it into a function node. */
function mapOf(target: string): string {
  return `
const value = (segment, name) => {
  const found = segment && segment[name] && segment[name][0]
  return typeof found === 'string' && found !== '' && found !== '/' ? found : undefined
}
const alpha = text => text && (/^\\d+$/.test(text) ? text.replace(/^0+(?=\\d)/, '') : text)
const decimal = text => {
  if (text === undefined) return undefined
  const trimmed = text.trim()
  return Number(trimmed.endsWith('-') ? '-' + trimmed.slice(0, -1) : trimmed)
}
const round = (number, places) => number === undefined ? undefined : Number(number.toFixed(places))
const material = msg.payload.MATMAS05.IDOC[0].E1MARAM[0]
const segmentOf = (segments, name, wanted, orFirst) =>
  (segments || []).find(segment => value(segment, name) === wanted) || (orFirst ? (segments || [])[0] : undefined)
const isWhole = ['005', '009'].includes(value(material, 'MSGFN'))
const text = segmentOf(material.E1MAKTM, 'SPRAS_ISO', 'EN', isWhole)
const valuation = segmentOf(material.E1MBEWM, 'BWKEY', 'FR20', false)
const unit = value(material, 'MEINS')
const types = { FERT: 1, HALB: 1, HAWA: 1, ROH: 1, VERP: 2, NLAG: 2, DIEN: 3, LEIS: 3 }
const decimals = { PCE: 0, EA: 0, H87: 0 }
const weights = { KGM: 1, GRM: 0.001, TNE: 1000 }
const volumes = { MTQ: 1, DMQ: 0.001, LTR: 0.001, CMQ: 0.000001 }
const number = alpha(value(material, 'MATNR_LONG') || value(material, 'MATNR'))
const key = number && number.replace(/[/<>*%&:\\\\?+~]/g, letter => '~' + letter.charCodeAt(0).toString(16))
const sides = ['LAENG', 'BREIT', 'HOEHE'].map(name => value(material, name)).filter(Boolean).join(' x ')
const sidesUnit = value(material, 'MEABM')
const per = price => price === undefined ? undefined : round(price / (decimal(value(valuation, 'PEINH')) || 1), 4)
const standard = decimal(value(valuation, 'STPRS'))
const moving = value(valuation, 'VPRSV') === 'V' ? decimal(value(valuation, 'VERPR')) : undefined
const flag = value(material, 'LVORM')
const isGone = value(material, 'MSGFN') === '003' || flag === 'X' || value(material, 'MSTAE') === 'OB'
const state = isGone ? 1 : flag === undefined ? undefined : 0
const product = {
  productnumber: number,
  new_sapkey: key,
  name: (value(text, 'MAKTX') || '').trim() || undefined,
  producttypecode: types[value(material, 'MTART')],
  quantitydecimal: decimals[unit] === undefined ? 3 : decimals[unit],
  stockweight: round(decimal(value(material, 'NTGEW')) * weights[value(material, 'GEWEI')], 5),
  stockvolume: round(decimal(value(material, 'VOLUM')) * volumes[value(material, 'VOLEH')], 5),
  standardcost: per(standard),
  currentcost: per(moving === undefined ? standard : moving),
  size: sides && sidesUnit ? sides + ' ' + sidesUnit : sides,
  new_gtin: value(material, 'EAN11'),
  new_producthierarchy: value(material, 'PRDHA'),
  statecode: state,
  statuscode: state === undefined ? undefined : state === 1 ? 2 : 1,
  '@create': {
    productstructure: 1,
    'defaultuomid@odata.bind': "/uoms(new_sapkey='" + key + '-' + (unit || '') + "')",
    'defaultuomscheduleid@odata.bind': "/uomschedules(new_sapkey='" + key + "')",
  },
}
msg.url = ${JSON.stringify(`${target}/products/`)} + encodeURIComponent(product.productnumber)
msg.headers = { 'content-type': 'application/json' }
msg.payload = product
return msg
`
}
