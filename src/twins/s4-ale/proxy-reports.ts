import { escapeText } from '../../protocols/xml/write-xml.ts'
import { leaving } from './idoc-layout.ts'
import type { MasterData, Row } from './master-data.ts'
import type { XiOutbound } from './xi-outbound.ts'

/** Namespace of the company's own interfaces. */
export const proxyNamespace = 'urn:isthmus:example:s4-to-dynamics'

/**
 * ZRFI and ZRCREDIT: reports that a background job starts. They collect billing documents and credit accounts that are
 * not what they were at the last run, and send a proxy message for each, in order by object.
 */
export class ProxyReports {
  readonly #sent = new Map<string, string>()
  readonly #data: MasterData
  readonly #out: XiOutbound

  constructor(data: MasterData, out: XiOutbound) {
    this.#data = data
    this.#out = out
  }

  /** Sends invoices; returns how many. */
  runInvoices(): number {
    const changed = this.#data.find('VBRK').filter(head => {
      const items = this.#data.find('VBRP', { VBELN: head['VBELN'] ?? '' })
      return this.#isNew(`VBRK ${head['VBELN']}`, [head, ...items])
    })
    for (const head of changed) {
      const objectId = head['VBELN'] ?? ''
      const payload = invoiceXml(head, this.#data.find('VBRP', { VBELN: objectId }))
      this.#send('Invoice_Out', payload, objectId, `INV${objectId}`)
    }
    return changed.length
  }

  /** Sends credit accounts; returns how many. */
  runCredit(): number {
    const changed = this.#data
      .find('UKMBP_CMS_SGM')
      .filter(row => this.#isNew(`UKM ${row['PARTNER']}/${row['CREDIT_SGMNT']}`, [row]))
    for (const row of changed) {
      const objectId = row['PARTNER'] ?? ''
      this.#send('CreditLimit_Out', creditXml(row), objectId, `CRD${objectId}`)
    }
    return changed.length
  }

  #send(name: string, payload: string, objectId: string, queue: string): void {
    this.#out.add({
      interface: name,
      payload,
      objectId,
      quality: 'ExactlyOnceInOrder',
      queue,
      wantsAcks: true,
    })
  }

  #isNew(key: string, rows: readonly Row[]): boolean {
    const state = JSON.stringify(rows)
    if (this.#sent.get(key) === state) return false
    this.#sent.set(key, state)
    return true
  }
}

/** Credit memos and cancelled invoices are postings on the credit side; their amounts have no sign of their own. */
function sideOf(head: Row): string {
  return /^[NO]$/.test(head['VBTYP'] ?? '') ? 'H' : 'S'
}

function invoiceXml(head: Row, items: readonly Row[]): string {
  const lines = items.map(
    item =>
      `<Item>${elements({
        BillingDocument: item['VBELN'],
        BillingDocumentItem: item['POSNR'],
        Material: item['MATNR'],
        BillingDocumentItemText: item['ARKTX'],
        BillingQuantity: item['FKIMG'],
        BillingQuantityUnit: leaving(item['VRKME'] ?? '', 'unit'),
        NetAmount: item['NETWR'],
        TaxAmount: item['MWSBP'],
        TransactionCurrency: item['WAERK'],
        DebitCreditCode: sideOf(head),
      })}</Item>`,
  )
  const fields = elements({
    BillingDocument: head['VBELN'],
    BillingDocumentType: head['FKART'],
    SoldToParty: head['KUNAG'],
    BillingDocumentDate: isoDay(head['FKDAT'] ?? ''),
    NetDueDate: head['NETDT'],
    TotalNetAmount: head['NETWR'],
    TotalTaxAmount: head['MWSBK'],
    TransactionCurrency: head['WAERK'],
    CustomerPaymentTerms: head['ZTERM'],
    InvoiceStatus: head['BUCHK'],
    PurchaseOrderByCustomer: head['BSTNK'],
    DocumentReferenceID: head['XBLNR'],
    DebitCreditCode: sideOf(head),
    BillingDocumentIsCancelled: head['FKSTO'],
    CancelledBillingDocument: head['SFAKN'],
  })
  return `<?xml version="1.0" encoding="utf-8"?><n0:Invoice_Out xmlns:n0="${proxyNamespace}"><Invoice>${fields}${lines.join('')}</Invoice></n0:Invoice_Out>`
}

function creditXml(row: Row): string {
  const fields = elements({
    BusinessPartner: row['PARTNER'],
    CreditSegment: row['CREDIT_SGMNT'],
    CreditLimitAmount: row['CREDIT_LIMIT'],
    CreditSegmentCurrency: row['CURRENCY'],
    CreditAccountIsBlocked: row['XBLOCKED'],
    CreditAccountBlockReason: row['BLOCK_REASON'],
    CreditExposureAmount: row['EXPOSURE'],
    CreditRiskClass: row['RISK_CLASS'],
    CreditWorthinessScoreValue: row['CREDIT_SCORE'],
    CreditLimitValidityEndDate: row['LIMIT_VALID_DATE'],
  })
  return `<?xml version="1.0" encoding="utf-8"?><n0:CreditLimit_Out xmlns:n0="${proxyNamespace}"><CreditAccount>${fields}</CreditAccount></n0:CreditLimit_Out>`
}

/** Optional elements with their initial value are left out, as SAP documents it of proxies ("Activating Extended XML Handling"). */
function elements(fields: Readonly<Record<string, string | undefined>>): string {
  return Object.entries(fields)
    .filter(([, value = '']) => !/^(?:0\.0+|00000000)?$/.test(value))
    .map(([name, value = '']) => `<${name}>${escapeText(value)}</${name}>`)
    .join('')
}

/** The proxy runtime writes a date as XML Schema wants it. */
function isoDay(day: string): string {
  return /^\d{8}$/.test(day) ? `${day.slice(0, 4)}-${day.slice(4, 6)}-${day.slice(6)}` : day
}
