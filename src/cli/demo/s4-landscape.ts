import { resolve } from 'node:path'
import type { BeforeFlows } from '../../main.ts'
import { type DataverseTwin, startDataverse } from '../../twins/dataverse/dataverse.ts'
import { type S4AleTwin, s4AleUser, startS4Ale } from '../../twins/s4-ale/s4-ale.ts'
import { contoso, contosoClientId, contosoSecret } from '../../twins/sign-in/contoso.ts'
import { type SignInTwin, startSignIn } from '../../twins/sign-in/sign-in.ts'
import type { ScenarioWorld } from './scenario.ts'

const folder = resolve(import.meta.dirname, '../../../examples/s4-to-dynamics')

/** Flows of the example by name: the file, and the systems that it talks to. */
const flows = {
  's4-customers': ['customers', 'dynamics'],
  's4-addresses': ['addresses', 'dynamics'],
  's4-materials': ['materials', 'dynamics'],
  's4-customer-stock': ['customer-stock', 'dynamics'],
  's4-invoices': ['invoices', 'dynamics'],
  's4-credit-limits': ['credit-limits', 'dynamics'],
  's4-idoc-answers': ['idoc-answers', 'sap'],
  's4-proxy-answers': ['proxy-answers', 'sap'],
  'crm-inventories': ['api-inventories', 'dynamics'],
  'crm-invoices': ['api-invoices', 'dynamics'],
  'crm-products': ['api-products', 'dynamics'],
  'crm-credit-limits': ['api-credit-limits', 'dynamics'],
  'crm-users': ['api-users', 'dynamics'],
  'crm-inventories-idoc': ['idoc-inventories', 'dynamics'],
  'crm-invoices-idoc': ['idoc-invoices', 'dynamics'],
  'crm-products-idoc': ['idoc-products', 'dynamics'],
  'crm-credit-limits-idoc': ['idoc-credit-limits', 'dynamics'],
  'crm-users-idoc': ['idoc-users', 'dynamics'],
  'crm-inventories-proxy': ['proxy-inventories', 'dynamics'],
  'crm-invoices-proxy': ['proxy-invoices', 'dynamics'],
  'crm-products-proxy': ['proxy-products', 'dynamics'],
  'crm-credit-limits-proxy': ['proxy-credit-limits', 'dynamics'],
  'crm-users-proxy': ['proxy-users', 'dynamics'],
  'crm-description': ['api-description', 'nobody'],
} as const satisfies Readonly<Record<string, readonly [file: string, system: 'dynamics' | 'sap' | 'nobody']>>

export type S4Flow = keyof typeof flows
export const s4Flows = Object.keys(flows) as readonly S4Flow[]

/** Roles of the example; the first is for what SAP sends on its own. */
export const s4Roles = ['SAP_IDoc.send', 'CRM_Inventory', 'CRM_Invoice', 'CRM_Product', 'CRM_CreditLimit', 'CRM_User']

/** S/4HANA, Dynamics 365 and the sign-in service of the example s4-to-dynamics, and how they come together with a hub. */
export interface S4Landscape {
  readonly signIn: SignInTwin
  readonly dynamics: DataverseTwin
  readonly s4: S4AleTwin
  readonly flowFiles: readonly string[]
  /** Parameters by flow. */
  readonly params: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** Credentials of the hub, roles, and the service user of S/4HANA. */
  prepare(parts: Pick<BeforeFlows, 'credentials' | 'serviceUsers'>): Promise<void>
  /** Ports and destinations of S/4HANA lead to this hub from now on. */
  connect(endpointsUrl: string): void
  /** User and password of S/4HANA at the hub; after prepare. */
  user(): { readonly user: string; readonly password: string }
  stop(): Promise<void>
}

export async function startS4Landscape(
  { tls }: Pick<ScenarioWorld, 'tls'>,
  wanted: readonly S4Flow[] = s4Flows,
): Promise<S4Landscape> {
  const signIn = await startSignIn({ tls, tenants: [contoso()] })
  const dynamics = await startDataverse({ tls, verify: token => signIn.verify(token), applications: [contosoClientId] })
  const s4 = await startS4Ale({ tls })
  let user: { readonly user: string; readonly password: string } = { user: '', password: '' }
  const origins = { dynamics: dynamics.origin, sap: s4.origin }

  return {
    signIn,
    dynamics,
    s4,
    flowFiles: wanted.map(name => resolve(folder, `${flows[name][0]}.flow.yaml`)),
    params: Object.fromEntries(
      wanted.map(name => {
        const [, system] = flows[name]
        return [name, system === 'nobody' ? {} : { [system]: origins[system] }]
      }),
    ),
    async prepare({ credentials, serviceUsers }) {
      await credentials.create('dynamics-application', {
        kind: 'oauth2-client-credentials',
        provider: { microsoft365: { tenant: 'contoso.com', authority: signIn.origin } },
        clientId: contosoClientId,
        clientSecret: contosoSecret,
        scopes: [`${dynamics.origin}/.default`],
      })
      await credentials.create('S4HANA_ALE', { kind: 'basic', ...s4AleUser })
      for (const role of s4Roles) await serviceUsers.createRole(role, 'For S/4HANA, by the example s4-to-dynamics')
      const instance = await serviceUsers.createInstance({
        name: 's4hana',
        parameters: { roles: [...s4Roles, 'ESBMessaging.send'] },
      })
      const { document } = await serviceUsers.createKey(instance.id, { name: 'ale' })
      user = { user: document.oauth.clientid, password: document.oauth.clientsecret ?? '' }
    },
    connect(endpointsUrl) {
      const to = (path: string) => ({ url: `${endpointsUrl}${path}`, user })
      s4.setPort('DEBMAS', { destination: to('/s4/customers') })
      s4.setPort('ADRMAS', { destination: to('/s4/addresses') })
      s4.setPort('MATMAS', { destination: to('/s4/materials') })
      s4.setPort('ZCUSTSTOCK', { destination: to('/s4/customer-stock'), contentType: 'application/x-sap.idoc' })
      s4.setDestination('Invoice_Out', to('/s4/invoices'))
      s4.setDestination('CreditLimit_Out', to('/s4/credit-limits'))
    },
    user: () => user,
    async stop() {
      await Promise.all([s4.stop(), dynamics.stop(), signIn.stop()])
    },
  }
}
