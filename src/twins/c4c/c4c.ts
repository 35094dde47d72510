import { randomUUID } from 'node:crypto'
import http from 'node:http'
import https from 'node:https'
import type { Json } from '../../kernel/json.ts'
import { type Clock, systemClock } from '../../kernel/time.ts'
import { listenOnLoopback } from '../listen.ts'
import { readFaults, type Twin } from '../twin.ts'
import { type C4CFaultDocument, type C4CFaults, c4cFaults } from './faults.ts'
import { type C4CCounters, makeHandler, type SeenC4CRequest } from './http.ts'
import { entityKinds, rootPath } from './schema.ts'
import { C4CStore, type Row } from './store.ts'

export interface C4CTwinOptions {
  readonly port?: number
  /** PEM; without it the twin speaks HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string }
  readonly clock?: Clock
  readonly users?: Readonly<Record<string, string>>
  /** The user of a token of another server that is valid now. */
  readonly verify?: (token: string) => string | undefined
  /** Mail addresses of the employees at the start. */
  readonly employees?: readonly string[]
  /** Entities of one page. */
  readonly pageSize?: number
}

export interface C4CTwin extends Twin {
  readonly port: number
  /** `http://127.0.0.1:40443/sap/c4c/odata/v1/c4codataapi/` */
  readonly root: string
  readonly store: C4CStore
  /** What somebody else does right after a change, before anything else of the same batch. */
  afterWrite: ((row: Row) => void) | undefined
  /** Adds an employee; returns its number (EmployeeID). */
  addEmployee(email: string, more?: { readonly isLocked?: boolean }): string
  count(entity: string): number
  readonly requests: readonly SeenC4CRequest[]
  readonly counters: C4CCounters
  setFaults(document: C4CFaultDocument): void
}

/** The technical user that the twin knows at the start. */
export const c4cUser = { user: '_ISTHMUS', password: 'Welcome-1-C4C' } as const

/** Starts a look-alike of SAP Cloud for Customer (OData V2: activities, contacts, accounts, employees) on loopback. */
export async function startC4C(options: C4CTwinOptions = {}): Promise<C4CTwin> {
  const clock = options.clock ?? systemClock
  const store = new C4CStore(clock)
  let faults: C4CFaults = {}
  let root = ''
  let employees = 0
  const employeeKind = entityKinds.find(each => each.name === 'EmployeeBasicData')
  const addEmployee = (email: string, { isLocked = false } = {}): string => {
    employees += 1
    const number = String(8_000_000 + employees)
    const [name = email] = email.split('@')
    if (employeeKind) {
      store.create(employeeKind, {
        EmployeeID: number,
        EmployeeUUID: randomUUID(),
        BusinessPartnerID: number,
        UserID: name.toUpperCase(),
        FormattedName: name,
        Email: email,
        TimeZoneCode: 'CET',
        UserLockedIndicator: isLocked,
      })
    }
    return number
  }
  for (const email of options.employees ?? []) addEmployee(email)
  const handler = makeHandler({
    world: { store, pageSize: options.pageSize ?? 1000, root: () => root, changed: row => twin.afterWrite?.(row) },
    clock,
    users: options.users ?? { [c4cUser.user]: c4cUser.password },
    verify: options.verify,
    faults: () => faults,
  })
  const server = options.tls ? https.createServer(options.tls, handler.handle) : http.createServer(handler.handle)
  const listener = await listenOnLoopback(server, options.port)
  const protocol = options.tls ? 'https' : 'http'
  root = `${protocol}://127.0.0.1:${listener.port}${rootPath}`

  const twin: C4CTwin = {
    name: 'c4c',
    about: 'SAP Cloud for Customer: appointments, e-mails, tasks, contacts and accounts over OData V2.',
    port: listener.port,
    ports: { [protocol]: listener.port },
    root,
    store,
    afterWrite: undefined,
    addEmployee,
    count: entity => store.count(entity),
    requests: handler.requests,
    counters: handler.counters,
    faultSchema: c4cFaults,
    setFaults(document) {
      faults = readFaults('c4c', c4cFaults, document)
      store.visibleAfterMs = faults.visibleAfterMs ?? 0
      if (faults.forgetSessions) handler.forgetSessions()
    },
    clearFaults() {
      faults = {}
      store.visibleAfterMs = 0
    },
    state: (): Json => ({
      root,
      faults: JSON.parse(JSON.stringify(faults)),
      entities: Object.fromEntries(entityKinds.map(({ name }) => [name, store.count(name)])),
      counters: { ...handler.counters, byTarget: { ...handler.counters.byTarget } },
      requests: handler.requests.slice(-100).map(request => ({ ...request })),
    }),
    stop: () => listener.stop(),
  }
  return twin
}
