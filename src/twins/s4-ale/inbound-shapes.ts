/** Fields of EDI_DC40 and their lengths. */
export const controlLengths: Readonly<Record<string, number>> = {
  TABNAM: 10,
  MANDT: 3,
  DOCNUM: 16,
  DOCREL: 4,
  STATUS: 2,
  DIRECT: 1,
  OUTMOD: 1,
  EXPRSS: 1,
  TEST: 1,
  IDOCTYP: 30,
  CIMTYP: 30,
  MESTYP: 30,
  MESCOD: 3,
  MESFCT: 3,
  STD: 1,
  STDVRS: 6,
  STDMES: 6,
  SNDPOR: 10,
  SNDPRT: 2,
  SNDPFC: 2,
  SNDPRN: 10,
  SNDSAD: 21,
  SNDLAD: 70,
  RCVPOR: 10,
  RCVPRT: 2,
  RCVPFC: 2,
  RCVPRN: 10,
  RCVSAD: 21,
  RCVLAD: 70,
  CREDAT: 8,
  CRETIM: 6,
  REFINT: 14,
  REFGRP: 14,
  REFMES: 14,
  ARCKEY: 70,
  SERIAL: 20,
}

export interface SegmentShape {
  readonly fields: Readonly<Record<string, number>>
  readonly required: readonly string[]
  readonly children: Readonly<Record<string, SegmentShape>>
}

/** The types that the twin takes in, as transaction WE30 and WE31 show them. */
export const inboundShapes: Readonly<Record<string, Readonly<Record<string, SegmentShape>>>> = {
  ALEAUD01: {
    E1ADHDR: {
      fields: { MESTYP: 6, MESCOD: 3, MESFCT: 3, MESTYP_LNG: 30 },
      required: [],
      children: {
        E1STATE: {
          fields: {
            DOCNUM: 16,
            STATUS: 2,
            STACOD: 8,
            STATXT: 70,
            STAPA1: 20,
            STAPA2: 20,
            STAPA3: 20,
            STAPA4: 20,
            STATYP: 1,
            STAMQU: 3,
            STAMID: 20,
            STAMNO: 3,
            STAPA1_LNG: 50,
            STAPA2_LNG: 50,
            STAPA3_LNG: 50,
            STAPA4_LNG: 50,
          },
          required: ['DOCNUM', 'STATUS'],
          children: {
            E1PRTOB: { fields: { DOCNUM: 16, LOGSYS: 10, OBJTYPE: 10, OBJKEY: 70 }, required: [], children: {} },
          },
        },
      },
    },
  },
  SYSTAT01: {
    E1STATS: {
      fields: {
        TABNAM: 10,
        MANDT: 3,
        DOCNUM: 16,
        LOGDAT: 8,
        LOGTIM: 6,
        STATUS: 2,
        UNAME: 12,
        REPID: 30,
        ROUTID: 30,
        STACOD: 8,
        STATXT: 70,
        STAPA1: 50,
        STAPA2: 50,
        STAPA3: 50,
        STAPA4: 50,
        STATYP: 1,
        STAMQU: 3,
        STAMID: 20,
        STAMNO: 3,
        REFINT: 14,
        REFGRP: 14,
        REFMES: 14,
      },
      required: ['DOCNUM', 'LOGDAT', 'LOGTIM', 'STATUS'],
      children: {},
    },
  },
  /** A request for objects (BD11, BD13): which message type, and the numbers wanted. */
  ALEREQ01: {
    E1ALER1: {
      fields: { MESTYP: 6, MESTYP40: 30 },
      required: ['MESTYP'],
      children: {
        E1ALEQ1: {
          fields: { OBJVALUE: 30, SIGN: 1, OPTION: 2, LOW: 50, HIGH: 50 },
          required: ['OBJVALUE', 'SIGN', 'OPTION', 'LOW'],
          children: {},
        },
      },
    },
  },
}
