import { defineErrors } from '../../kernel/error.ts'

export const idocErrors = defineErrors('IDOC', {
  SHAPE: {
    side: 'sender',
    retry: 'never',
    means: 'The document is no IDoc: {text} (line {line}, column {column}).',
    next: 'Send IDoc XML as the HTTP-XML port of SAP writes it: <MATMAS05><IDOC BEGIN="1"><EDI_DC40 SEGMENT="1">….',
  },
  TOO_MANY: {
    side: 'sender',
    retry: 'never',
    means: 'The request holds {count} IDocs where exactly one is wanted.',
    next: 'Send packets with Content-Type text/xml; application/x-sap.idoc is for one IDoc.',
  },
  FLAT_FILE: {
    side: 'sender',
    retry: 'never',
    means: 'The flat file is wrong in record {record}: {text}.',
    next: 'Correct the file, or give the metadata of the release that wrote it (transaction WE60).',
  },
  CANNOT_WRITE: {
    side: 'flow',
    retry: 'never',
    means: 'The IDoc cannot be written: {text}.',
    next: 'Correct the mapping or the step that made it, then replay the message.',
  },
})
