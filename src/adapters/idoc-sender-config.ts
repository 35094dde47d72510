import { z } from 'zod'
import { size, someTime } from '../kernel/schema.ts'
import { endpointPath, endpointRole, tellErrors } from './endpoint-config.ts'

const fieldPath = z
  .string()
  .regex(
    /^[A-Z0-9_-]+(\/[A-Z0-9_-]+)+(\s*\+\s*[A-Z0-9_-]+(\/[A-Z0-9_-]+)+)*$/,
    'a path of segments and a field: E1MARAM/MATNR; several are joined with +',
  )

const controlName = z.string().regex(/^[A-Z0-9]{3,10}$/, 'the name of a field of EDI_DC40')

/** What a flow document says under `idoc` as sender. */
export const idocSenderConfig = z
  .strictObject({
    path: endpointPath.default('/idoc').meta({ description: 'Path below /flows.', examples: ['/idoc/materials'] }),
    role: endpointRole,
    answer: z.enum(['taken', 'result']).default('taken').meta({
      description:
        'taken: 200 as soon as every IDoc is safe. result: each request is a question, one IDoc; the answer is what the flow made of it, and the same IDoc again gets the same answer.',
    }),
    within: someTime.prefault('60s').meta({ description: 'How long a question waits for its answer.' }),
    'tell-errors': tellErrors,
    format: z.enum(['xml', 'flat-file']).default('xml').meta({
      description:
        'xml: application/x-sap.idoc holds one IDoc, text/xml any number, also in a SOAP body. flat-file: records EDI_DC40 and EDI_DD40; messages hold XML all the same.',
    }),
    layouts: z
      .string()
      .min(1)
      .optional()
      .meta({
        description: 'JSON file with the layouts of segments for flat files, relative to the flow.',
        examples: ['./layouts.json'],
      }),
    'object-key': z
      .record(
        z.string().regex(/^[A-Z0-9_/]{1,30}$/, 'a message type: MATMAS'),
        z.union([fieldPath, z.array(fieldPath).min(1)]),
      )
      .default({})
      .meta({
        description:
          'Where the key of the object stands, by message type; of a list the first with a value counts. MATMAS, DEBMAS, CREMAS, ADRMAS and LOISTD are known, and reduced message types of them. IDocs of one type and key go in order, and an older DOCNUM never overwrites a newer one. Namespaces of segments stand there as in XML: _-ABC_-E1STOCK/MATNR.',
        examples: [{ ZSTOCK: 'Z1STOCK/MATNR + Z1STOCK/KUNNR' }],
      }),
    identity: z.array(controlName).default(['MANDT', 'SNDPOR', 'SNDPRN', 'RCVPRN']).meta({
      description:
        'Control fields that tell, together with DOCNUM, whether an IDoc came before. After a copy of an SAP system begins its numbers anew, add CREDAT and CRETIM.',
    }),
    'invalid-characters': z.enum(['error', 'remove', 'substitute']).default('error').meta({
      description:
        'What becomes of characters that XML cannot hold, in flat files too; substitute puts # in their place.',
    }),
    'max-size': size
      .optional()
      .meta({ description: 'The largest packet that is taken. Default: the limit of the hub.' }),
  })
  .superRefine(({ format, layouts }, context) => {
    if ((format === 'flat-file') === (layouts !== undefined)) return
    const message = layouts === undefined ? 'a flat file needs layouts' : 'layouts are for format: flat-file'
    context.addIssue({ code: 'custom', path: ['layouts'], message })
  })

export type IdocSenderConfig = z.output<typeof idocSenderConfig>
