import { z } from 'zod'
import { templateSchema } from '../flow/expression-schema.ts'
import { checkCleartext, postFields, postUrl } from './post-config.ts'

/** What a flow document says under `idoc` as receiver. */
export const idocReceiverConfig = z
  .strictObject({
    url: postUrl.meta({
      description: 'Service of the SAP system: /sap/bc/idoc_xml for XML, /sap/bc/srt/idoc for SOAP.',
      examples: ['https://s4.contoso.com:44300/sap/bc/idoc_xml?sap-client=400'],
    }),
    ...postFields,
    shape: z.enum(['xml', 'soap']).default('xml').meta({
      description:
        'xml: the document alone. soap: in a SOAP body, with a MessageId in the query by which SAP recognises a repeat.',
    }),
    format: z
      .enum(['xml', 'flat-file'])
      .default('xml')
      .meta({ description: 'flat-file: records EDI_DC40 and EDI_DD40 instead of XML, for services that take files.' }),
    layouts: z
      .string()
      .min(1)
      .optional()
      .meta({
        description: 'JSON file with the layouts of segments for flat files, relative to the flow.',
        examples: ['./layouts.json'],
      }),
    control: z
      .record(z.string().regex(/^[A-Z0-9]{3,10}$/, 'the name of a field of EDI_DC40'), templateSchema)
      .default({})
      .meta({
        description: 'Fields of the control record that the IDoc gets where it has none.',
        examples: [{ IDOCTYP: 'ORDERS05', MESTYP: 'ORDERS', SNDPOR: 'ISTHMUS', SNDPRT: 'LS', SNDPRN: 'CRM' }],
      }),
    acknowledge: z.enum(['ALEAUD01', 'SYSTAT01']).optional().meta({
      description:
        'The message tells what became of an IDoc (a flow with the sender answers), and SAP is told by an IDoc of this type: 41 delivered, 40 refused or skipped, 39 received.',
    }),
    'on-unknown': z.enum(['set-aside', 'send-again']).optional().meta({
      description:
        'When the connection was lost after the request and before the answer: let a person look, or send it again. Default: send-again with soap and acknowledge, else set-aside.',
    }),
  })
  .superRefine((given, context) => {
    checkCleartext(given, context)
    const issue = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message })
    if ((given.format === 'flat-file') !== (given.layouts !== undefined)) {
      issue('layouts', given.layouts === undefined ? 'a flat file needs layouts' : 'layouts are for format: flat-file')
    }
    if (given.format === 'flat-file' && given.shape === 'soap') issue('shape', 'SOAP holds XML, no flat file')
  })

export type IdocReceiverConfig = z.output<typeof idocReceiverConfig>
