import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { heldBody, type Message } from 'isthmus/documents'
import { expect, test } from 'vitest'
import { defaultLimits } from '../../../src/kernel/limit.ts'
import type { Mapping } from '../../../src/mapping/mapping.ts'
import { readSource } from '../../../src/mapping/read-source.ts'
import calledInventory from '../mappings/called-inventory.ts'
import calledProduct from '../mappings/called-product.ts'
import credit from '../mappings/credit.ts'
import { header, lines } from '../mappings/invoice.ts'
import { accountKey, inventoryKey, invoiceKey, invoiceLineKey, productKey, userKey } from '../mappings/keys.ts'
import writeAnswer from './answer.ts'
import { isMethod, type MethodName, methods } from './methods.ts'
import readQuestion from './question.ts'

const context = { limits: defaultLimits }
const samples = join(import.meta.dirname, '../samples/calls')
const sample = (method: MethodName, name: string) => readFileSync(join(samples, method, name), 'utf8')

/** The spec that each flow names for the method. */
const mappingOf: Readonly<Record<MethodName, Mapping>> = {
  CheckInventory: inventoryKey,
  SetInventory: calledInventory,
  GetInvoiceStatus: invoiceKey,
  GetInvoiceLineStatus: invoiceLineKey,
  CheckInvoice: invoiceKey,
  CheckInvoiceLine: invoiceLineKey,
  SetInvoice: header,
  SetInvoiceLine: lines,
  GetProductStatus: productKey,
  CheckProduct: productKey,
  SetProduct: calledProduct,
  CheckCreditLimit: accountKey,
  SetCreditLimit: credit,
  CheckUser: userKey,
}

function message(text: string, attributes: Message['attributes']): Message {
  return { id: 'M1', headers: {}, attributes, body: heldBody(text, 'application/xml'), acceptedAt: 0 }
}
const textOf = ({ body }: Message) => Buffer.from(body.held ?? []).toString()

test.each(Object.keys(methods).filter(isMethod))('%s, as SAP asks it and is answered', async method => {
  expect(existsSync(join(samples, method))).toBe(true)
  const byIdoc = await readQuestion(
    message(sample(method, 'question.idoc.xml'), { docnum: '0000000000700300' }),
    context,
  )
  const byProxy = await readQuestion(
    message(sample(method, 'question.proxy.xml'), { interface: `${method}_Out` }),
    context,
  )
  expect([byIdoc.attributes['crmFault'], byProxy.attributes['crmFault']]).toEqual(['', ''])
  expect(textOf(byProxy)).toBe(textOf(byIdoc))

  const mapped = mappingOf[method].run(readSource('document', Buffer.from(textOf(byIdoc))))
  expect({ values: mapped.values, createOnly: mapped.createOnly }).toEqual(JSON.parse(sample(method, 'record.json')))

  const said = sample(method, 'dynamics.json')
  const answer = (question: Message) => writeAnswer({ ...question, body: heldBody(said, 'application/json') }, context)
  expect(textOf(await answer(byIdoc))).toBe(sample(method, 'answer.idoc.xml').trimEnd())
  expect(textOf(await answer(byProxy))).toBe(sample(method, 'answer.proxy.xml').trimEnd())
})
