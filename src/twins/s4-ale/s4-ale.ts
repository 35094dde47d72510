import http from 'node:http'
import https from 'node:https'
import type { Json } from '../../kernel/json.ts'
import { type Clock, systemClock } from '../../kernel/time.ts'
import type { Segment } from '../../protocols/idoc/idoc.ts'
import { listenOnLoopback } from '../listen.ts'
import { readFaults, type Twin } from '../twin.ts'
import { ChangePointers } from './change-pointers.ts'
import { initialPointerSettings, pointerTypes, reducedTypes } from './customizing.ts'
import type { Destination } from './destination.ts'
import { aleTwinErrors } from './errors.ts'
import { type AleFaultDocument, type AleFaults, aleFaults } from './faults.ts'
import { alePaths, makeAleHandler, type ReceivedProxyMessage } from './http.ts'
import { currentStatus, IdocDatabase, type OwnSystem, type StoredIdoc } from './idoc-database.ts'
import { type InboundWorld, repost } from './inbound-idoc.ts'
import { MasterData } from './master-data.ts'
import { askByIdoc, type DispatchResult, dispatchIdocs, type IdocPort } from './outbound-port.ts'
import { ProxyReports, proxyNamespace } from './proxy-reports.ts'
import { type ReportWorld, runRbdmidoc, StockReport, sendWhole, stockType } from './reports.ts'
import { type SentProxyMessage, XiOutbound } from './xi-outbound.ts'

export interface S4AleOptions {
  readonly port?: number
  /** PEM; without it the twin speaks HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string }
  readonly clock?: Clock
  readonly users?: Readonly<Record<string, string>>
}

export interface S4AleTwin extends Twin {
  readonly port: number
  readonly origin: string
  /** Where others post: IDoc XML, IDocs in SOAP, XI messages, and people changes of master data. */
  readonly urls: { readonly idoc: string; readonly soap: string; readonly xi: string; readonly changes: string }
  /** Logical systems of this side and of the other. */
  readonly names: { readonly own: string; readonly partner: string; readonly ownPort: string }
  /** Master data; every change leaves its change document. */
  readonly data: MasterData
  /** Change pointers and their customizing (BD61, BD50, BD52, BDCP2). */
  readonly pointers: ChangePointers
  /** Port of a message type (or of all, `*`) and where it leads. */
  setPort(messageType: string, port: Pick<IdocPort, 'destination'> & Partial<IdocPort>): void
  /** Destination of a proxy interface, or of all: `*`. */
  setDestination(interfaceName: string, destination: Destination): void
  /** RBDMIDOC for these message types, or for all: IDocs out of change pointers. */
  runChangePointers(...messageTypes: readonly string[]): readonly StoredIdoc[]
  /** The report that sends changed customer stock. */
  runStockReport(): readonly StoredIdoc[]
  /** The reports that send invoices and credit accounts as proxy messages; how many they made. */
  runProxyReports(): number
  /** BD10, BD12: a whole object, changed or not. */
  sendWhole(messageType: string, objectId: string): StoredIdoc | undefined
  /** RSEOUT00: passes IDocs in status 30 to their ports. */
  dispatch(): Promise<DispatchResult>
  /** RBDAGAIN: passes IDocs in status 02 once more. */
  dispatchAgain(): Promise<DispatchResult>
  /** Sends proxy messages that are due. */
  sendProxies(): Promise<void>
  /** All reports and sendings above, once; what a background job does every few minutes. */
  runJobs(): Promise<void>
  /** A question by IDoc, answered in the same call. */
  askByIdoc(
    destination: Destination,
    idocType: string,
    messageType: string,
    segments: readonly Segment[],
  ): Promise<Buffer>
  /** A question by proxy (Best Effort); the payload of the answer. */
  callProxy(interfaceName: string, payload: string): Promise<string>
  idocs(): readonly StoredIdoc[]
  statusOf(docnum: string): string
  /** BD87 for an inbound IDoc. */
  repost(docnum: string): void
  readonly proxies: XiOutbound
  readonly received: readonly ReceivedProxyMessage[]
  /** Method, path and status of the requests that came. */
  readonly answered: readonly string[]
  setFaults(document: AleFaultDocument): void
}

/** The technical user that the twin knows at the start. */
export const s4AleUser = { user: 'ISTHMUS', password: 'Welcome-1-Ale' } as const

const system: OwnSystem = { client: '100', logicalSystem: 'S4HCLNT100', port: 'SAPS4H', release: '758' }
const partner = 'CRM'
const packetSize = 50

/** Starts a look-alike of ALE and the proxy runtime of S/4HANA on loopback. Nothing leaves it before ports are set. */
export async function startS4Ale(options: S4AleOptions = {}): Promise<S4AleTwin> {
  const clock = options.clock ?? systemClock
  const now = () => clock.now()
  let faults: AleFaults = {}
  const pointers = new ChangePointers(initialPointerSettings())
  const data = new MasterData(document => pointers.write(document))
  const database = new IdocDatabase(system, now)
  const ports = new Map<string, IdocPort>()
  const destinations = new Map<string, Destination>()
  const portOf = (messageType: string) => ports.get(messageType) ?? ports.get('*')
  const inbound: InboundWorld = {
    system,
    database,
    partners: [{ name: partner, messageTypes: ['ALEAUD', 'STATUS', 'MATFET', 'DEBFET'] }],
    sendWhole: (messageType, objectId) => sendWhole(world, messageType, objectId) !== undefined,
    faults: () => faults,
  }
  const xi = new XiOutbound({
    system: system.logicalSystem,
    receiver: 'ISTHMUS',
    namespace: proxyNamespace,
    now,
    destination: name => destinations.get(name) ?? destinations.get('*'),
    faults: () => faults,
  })
  const world: ReportWorld = {
    data,
    pointers,
    database,
    reduced: reducedTypes,
    model: new Map([...pointerTypes, stockType.message].map(type => [type, partner])),
    portName: messageType => (ports.has(messageType) ? `HTTP_${messageType}`.slice(0, 10) : 'ISTHMUS'),
  }
  const stock = new StockReport()
  const proxyReports = new ProxyReports(data, xi)
  const handler = makeAleHandler({
    inbound,
    xi,
    data,
    clock,
    users: options.users ?? { [s4AleUser.user]: s4AleUser.password },
    faults: () => faults,
  })
  const { tls } = options
  const server = tls ? https.createServer(tls, handler.handle) : http.createServer(handler.handle)
  const listener = await listenOnLoopback(server, options.port)
  const protocol = tls ? 'https' : 'http'
  const origin = `${protocol}://127.0.0.1:${listener.port}`

  // One sending at a time, as the work process of a background job is one; else an IDoc would leave twice.
  let sending: Promise<unknown> = Promise.resolve()
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = sending.then(work)
    sending = result.catch(() => {
      // Told to whoever asked for it; the next one begins anew.
    })
    return result
  }
  const dispatchStatus = (status: string) =>
    inTurn(() => dispatchIdocs(database, database.withStatus(status), portOf, () => faults))

  const twin: S4AleTwin = {
    name: 's4-ale',
    about: 'ALE and proxies of S/4HANA: change pointers, IDocs over HTTP, XI 3.0, acknowledgements.',
    port: listener.port,
    ports: { [protocol]: listener.port },
    origin,
    urls: {
      idoc: `${origin}${alePaths.idoc}`,
      soap: `${origin}${alePaths.soap}`,
      xi: `${origin}${alePaths.xi}`,
      changes: `${origin}${alePaths.changes}`,
    },
    names: { own: system.logicalSystem, partner, ownPort: system.port },
    data,
    pointers,
    proxies: xi,
    received: handler.received,
    answered: handler.answered,
    setPort(messageType, port) {
      ports.set(messageType, { contentType: 'text/xml', packetSize, ...port })
    },
    setDestination: (interfaceName, destination) => void destinations.set(interfaceName, destination),
    runChangePointers: (...messageTypes) =>
      (messageTypes.length > 0 ? messageTypes : pointerTypes).flatMap(type => runRbdmidoc(world, type)),
    runStockReport: () => stock.run(world),
    runProxyReports: () => proxyReports.runInvoices() + proxyReports.runCredit(),
    sendWhole: (messageType, objectId) => sendWhole(world, messageType, objectId),
    dispatch: () => dispatchStatus('30'),
    dispatchAgain: () => dispatchStatus('02'),
    sendProxies: () => inTurn(() => xi.send()),
    async runJobs() {
      twin.runChangePointers()
      twin.runStockReport()
      twin.runProxyReports()
      await twin.dispatchAgain()
      await twin.dispatch()
      await twin.sendProxies()
    },
    askByIdoc(destination, idocType, messageType, segments) {
      const port: IdocPort = { destination, contentType: 'application/x-sap.idoc', packetSize: 1 }
      const about = { messageType, idocType, objectId: '', segments, receiver: partner, port: 'ISTHMUS' }
      const idoc = database.addOutbound(about)
      // It leaves in the call itself: no report may take it for one that waits.
      database.addStatus(idoc.docnum, '03')
      return askByIdoc(port, idoc, faults)
    },
    callProxy: (interfaceName, payload) => xi.call(interfaceName, payload),
    idocs: () => database.all(),
    statusOf(docnum) {
      const idoc = database.get(docnum)
      if (!idoc) throw aleTwinErrors.NO_SUCH_IDOC({ docnum })
      return currentStatus(idoc)
    },
    repost: docnum => repost(inbound, docnum),
    faultSchema: aleFaults,
    setFaults(document) {
      faults = readFaults('s4-ale', aleFaults, document)
    },
    clearFaults() {
      faults = {}
    },
    state: (): Json => ({
      origin,
      changes: alePaths.changes,
      faults: JSON.parse(JSON.stringify(faults)),
      changePointers: pointers.rows.filter(({ isProcessed }) => !isProcessed).length,
      idocs: database.all().map(idoc => ({
        docnum: idoc.docnum,
        direction: idoc.direction,
        messageType: idoc.messageType,
        objectId: idoc.objectId,
        status: currentStatus(idoc),
        text: idoc.statuses.at(-1)?.text ?? '',
      })),
      proxies: xi.messages.map((message: SentProxyMessage) => ({
        id: message.request.id,
        interface: message.request.interface,
        objectId: message.objectId,
        state: message.state,
        attempts: message.attempts,
        text: message.text,
      })),
    }),
    async stop() {
      await listener.stop()
      await sending
    },
  }
  return twin
}
