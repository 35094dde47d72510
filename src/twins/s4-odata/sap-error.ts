import type { Version } from './schema.ts'

/** A refusal in SAP's words; HTTP status, message class and number, text. */
export class SapError extends Error {
  readonly status: number
  readonly code: string
  readonly details: readonly { readonly code: string; readonly message: string; readonly target: string }[]

  constructor(status: number, code: string, message: string, details: SapError['details'] = []) {
    super(message)
    this.status = status
    this.code = code
    this.details = details
  }
}

export const refusals = {
  malformed: (text: string) => new SapError(400, '/IWFND/CM_BEC/026', `Malformed URI or payload: ${text}`),
  noSuchSegment: (name: string) =>
    new SapError(404, '/IWBEP/CM_MGW_RT/020', `Resource not found for segment '${name}'`),
  noSuchEntity: (name: string) =>
    new SapError(404, '/IWBEP/CM_MGW_RT/021', `Resource not found for segment '${name}'.`),
  noSuchProperty: (name: string, type: string) =>
    new SapError(400, '/IWBEP/CM_MGW_RT/022', `Property ${name} not found in type ${type}`),
  wrongLiteral: (name: string, literal: string) =>
    new SapError(400, '/IWBEP/CM_MGW_RT/023', `Invalid parametertype used at function for '${name}': ${literal}`),
  wrongValue: (name: string, value: string) =>
    new SapError(400, 'CX_SXML_PARSE_ERROR/001', `Error while parsing the value of property '${name}': ${value}`),
  exists: (name: string) =>
    new SapError(400, 'KS/105', `${name} already exists`, [
      { code: 'KS/105', message: `${name} already exists`, target: 'CostCenter' },
    ]),
  etagWanted: () => new SapError(428, '/IWFND/CM_MGW_RT/030', 'Header "If-Match" is required for this request'),
  etagOld: () =>
    new SapError(412, '/IWFND/CM_MGW_RT/031', 'Precondition failed: the entity was changed by another user'),
  notAllowed: (method: string) => new SapError(405, '/IWFND/CM_MGW/099', `Method ${method} is not allowed here`),
  notAcceptable: (type: string) => new SapError(415, '/IWFND/CM_COS/012', `The format ${type} is not supported here`),
} as const

/** The body of an error as the gateway writes it. */
export function errorBody(version: Version, error: SapError, transaction: string): object {
  const { code, message, details } = error
  if (version === 'v4') {
    return {
      error: {
        code,
        message,
        '@SAP__common.Application': {
          ComponentId: 'CO-OM-CCA',
          ServiceRepository: 'SRVD_A2X',
          ServiceId: 'COSTCENTER',
          ServiceVersion: '0001',
        },
        '@SAP__common.TransactionId': transaction,
        ...(details.length > 0 && { details: details.map(each => ({ ...each })) }),
      },
    }
  }
  return {
    error: {
      code,
      message: { lang: 'en', value: message },
      innererror: {
        application: {
          component_id: 'CO-OM-CCA',
          service_namespace: '/SAP/',
          service_id: 'API_COSTCENTER_SRV',
          service_version: '0001',
        },
        transactionid: transaction,
        timestamp: '20261121090000.0000000',
        Error_Resolution: { SAP_Transaction: 'Run transaction /IWFND/ERROR_LOG on the gateway system' },
        errordetails: details.map(({ code: inner, message: said, target }) => ({
          code: inner,
          message: said,
          propertyref: target,
          severity: 'error',
          target,
        })),
      },
    },
  }
}
