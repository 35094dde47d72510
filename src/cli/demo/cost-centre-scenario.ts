import { SECOND } from '../../kernel/time.ts'
import { s4User, startS4OData } from '../../twins/s4-odata/s4-odata.ts'
import type { Scenario, ScenarioWorld } from './scenario.ts'

const companies = ['1010', '1710'] as const
const centreCount = 120
const answerWithinMs = 30 * SECOND

/** A caller with a service key asks for cost centres every few seconds; the flow reads them from S/4HANA. */
export async function costCentreScenario({ tls }: ScenarioWorld): Promise<Scenario> {
  const s4 = await startS4OData({ tls, count: centreCount, pageSize: 50 })
  const answers: Promise<void>[] = []
  const troubles: string[] = []
  let answered = 0
  let authorization = ''
  let endpointsUrl = ''

  async function ask(company: string): Promise<void> {
    try {
      const answer = await fetch(`${endpointsUrl}/cost-centres?company=${company}`, {
        headers: { authorization },
        signal: AbortSignal.timeout(answerWithinMs),
      })
      const { costCentres } = (await answer.json()) as { readonly costCentres?: readonly unknown[] }
      if (answer.status !== 200 || costCentres?.length !== centreCount / companies.length) {
        troubles.push(`cost centres of ${company}: ${answer.status} with ${costCentres?.length ?? 'none'}`)
      }
    } catch (thrown) {
      troubles.push(`cost centres of ${company}: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
    }
    answered += 1
  }

  return {
    flow: 'cost-centres',
    twins: [s4],
    everyMs: 4 * SECOND,
    params: { service: s4.services.v2 },

    async prepare({ credentials, serviceUsers }) {
      await credentials.create('S4HANA_SANDBOX', { kind: 'basic', ...s4User })
      const instance = await serviceUsers.createInstance({
        name: 'cpi-user-secret',
        parameters: { roles: ['ESBMessaging.send'] },
      })
      const { document } = await serviceUsers.createKey(instance.id, { name: 'demo' })
      const pair = `${document.oauth.clientid}:${document.oauth.clientsecret ?? ''}`
      authorization = `Basic ${Buffer.from(pair).toString('base64')}`
    },
    begin(hub) {
      endpointsUrl = hub.endpointsUrl
    },

    act() {
      const company = companies[answers.length % companies.length] ?? companies[0]
      answers.push(ask(company))
      return `a caller asks for the cost centres of company code ${company}`
    },
    sent: () => answers.length,
    findings() {
      const waiting = answers.length - answered
      return [...troubles, ...(waiting > 0 ? [`${waiting} callers still wait for their cost centres`] : [])]
    },
  }
}
