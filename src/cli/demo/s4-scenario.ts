import { SECOND, systemClock } from '../../kernel/time.ts'
import { parseIdocs } from '../../protocols/idoc/read-idocs.ts'
import { createCreditAccount, createCustomer, createInvoice, createMaterial } from '../../twins/s4-ale/seed.ts'
import { s4Flows, startS4Landscape } from './s4-landscape.ts'
import type { Scenario, ScenarioWorld } from './scenario.ts'

/** Rounds of the background jobs after each thing that happens; what was not taken at once leaves with the next one. */
const roundsMax = 20
const roundMs = 500
const questionType = 'ZCRMQUERY'

/**
 * Master data changes in S/4HANA; change pointers become IDocs, reports send proxy messages, and Dynamics 365 gets
 * accounts, products, stock, invoices and limits. S/4HANA hears what became of each, and asks questions of its own.
 */
export async function s4Scenario(world: ScenarioWorld): Promise<Scenario> {
  const landscape = await startS4Landscape(world)
  const { s4, dynamics } = landscape
  const { data } = s4
  let endpointsUrl = ''
  let count = 0
  let asked = 0
  let answered = 0
  let running = 0
  const troubles: string[] = []
  const ended = new AbortController()

  /** What a background job of SAP does, until nothing is left that waits. */
  async function runJobs(): Promise<void> {
    for (let round = 0; round < roundsMax && !ended.signal.aborted; round++) {
      await s4.runJobs()
      const isLeft = s4.idocs().some(({ docnum }) => ['30', '02'].includes(s4.statusOf(docnum)))
      const isDue = s4.proxies.messages.some(({ state }) => state === 'scheduled' || state === 'retry')
      if (!isLeft && !isDue) return
      await systemClock.sleep(roundMs, ended.signal)
    }
  }

  /** Does Dynamics 365 have a user? Once by a synchronous IDoc, once by a synchronous proxy. */
  async function ask(): Promise<void> {
    const segment = (name: string, fields: Readonly<Record<string, string>>) => ({
      name,
      fields: new Map(Object.entries(fields)),
      children: [],
    })
    const field = segment('ZE1CRMFIELD', { NAME: 'UserName', VALUE: 'ada@contoso.com' })
    const question = { ...segment('ZE1CRMQUERY', { METHOD: 'CheckUser' }), children: [field] }
    const destination = { url: `${endpointsUrl}/crm-idoc/users`, user: landscape.user() }
    const [idoc] = parseIdocs(await s4.askByIdoc(destination, 'ZCRMQUERY01', questionType, [question]))
    if (idoc?.data.children[0]?.fields.get('FOUND') === 'X') answered += 1
    const payload = '<q><User><UserName>ada@contoso.com</UserName></User></q>'
    if ((await s4.callProxy('CheckUser_Out', payload)).includes('<Found>X</Found>')) answered += 1
  }

  function start(work: Promise<void>): void {
    running += 1
    work
      .catch((thrown: unknown) => troubles.push(thrown instanceof Error ? thrown.message : String(thrown)))
      .finally(() => {
        running -= 1
      })
      .catch(() => {})
  }

  const outbound = () => s4.idocs().filter(idoc => idoc.direction === 'out' && idoc.messageType !== questionType)

  return {
    flow: 's4-to-dynamics',
    parts: {
      flowFiles: landscape.flowFiles,
      params: landscape.params,
      counted: s4Flows.filter(name => name.startsWith('s4-') && !name.endsWith('-answers')),
    },
    params: {},
    // The mail scenario has a sign-in service too; each is disturbed under its own name.
    twins: [{ ...landscape.signIn, name: 'sign-in-dynamics' }, dynamics, s4],
    everyMs: 5 * SECOND,

    prepare: parts => landscape.prepare(parts),
    begin(hub) {
      endpointsUrl = hub.endpointsUrl
      landscape.connect(endpointsUrl)
      s4.setDestination('CheckUser_Out', { url: `${endpointsUrl}/crm-proxy/users`, user: landscape.user() })
    },

    act() {
      count += 1
      const customer = String(1000 + count)
      const material = String(4710 + count)
      createCustomer(data, customer, { name: `Customer ${customer}` })
      createMaterial(data, material, { name: `Pump ${count}` })
      createCreditAccount(data, customer, `${count}0000.00`)
      createInvoice(data, String(90_001_500 + count), customer, material)
      data.create('MSKU', {
        MATNR: material,
        WERKS: '1710',
        SOBKZ: 'W',
        KUNNR: customer,
        KULAB: '12.500',
        MEINS: 'PCE',
      })
      const earlier = String(1000 + Math.max(1, count - 1))
      const [{ ADRNR: address = '' } = {}] = data.find('KNA1', { KUNNR: earlier })
      data.change('ADRC', { ADDRNUMBER: address }, { TEL_NUMBER: `069 ${count}` })
      start(runJobs())
      asked += 2
      start(ask())
      return `in S/4HANA, customer ${customer} and material ${material} are new, with stock, credit limit and invoice; customer ${earlier} has a new telephone`
    },
    sent: () => outbound().length + s4.proxies.messages.length,

    findings() {
      const findings = [...troubles]
      if (running > 0) findings.push('background jobs of S/4HANA are still running')
      for (const { docnum, messageType, statuses } of outbound()) {
        const last = statuses.at(-1)
        if (last?.status !== '41')
          findings.push(`IDoc ${docnum} (${messageType}) has status ${last?.status}: ${last?.text}`)
      }
      for (const { request, state, text } of s4.proxies.messages) {
        if (state !== 'acknowledged') findings.push(`${request.interface} ${request.id} is ${state} ${text}`)
      }
      if (answered < asked) findings.push(`${asked - answered} questions of S/4HANA have no answer`)
      for (const [table, wanted] of Object.entries({
        account: count,
        product: count,
        new_inventory: count,
        invoice: count,
      })) {
        const found = dynamics.records(table).length
        if (found !== wanted) findings.push(`Dynamics 365 has ${found} records of ${table} instead of ${wanted}`)
      }
      return findings
    },
    async close() {
      ended.abort()
    },
    tellOutcome() {
      const idocs = outbound().filter(({ docnum }) => s4.statusOf(docnum) === '41').length
      const proxies = s4.proxies.messages.filter(({ state }) => state === 'acknowledged').length
      const records = (table: string) => dynamics.records(table).length
      return [
        `Dynamics 365 has ${records('account')} accounts, ${records('product')} products, ${records('new_inventory')} stocks and ${records('invoice')} invoices`,
        `S/4HANA knows that ${idocs} IDocs and ${proxies} proxy messages arrived, and got ${answered} answers to ${asked} questions`,
      ]
    },
  }
}
