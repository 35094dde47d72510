import type { DeclarationLoaders } from '../flow/late-declarations.ts'

/** The senders that come with the hub. */
export const lateSenders = {
  imap: async () => (await import('./imap.ts')).imap,
  https: async () => (await import('./https.ts')).https,
  timer: async () => (await import('./timer.ts')).timer,
  idoc: async () => (await import('./idoc.ts')).idocSender,
  soap: async () => (await import('./soap-sender.ts')).soapSender,
  xi: async () => (await import('./xi-sender.ts')).xiSender,
  answers: async () => (await import('./answers.ts')).answers,
} as DeclarationLoaders['senders']

/** The receivers that come with the hub. */
export const lateReceivers = {
  smtp: async () => (await import('./smtp.ts')).smtp,
  http: async () => (await import('./http.ts')).http,
  odata: async () => (await import('./odata.ts')).odata,
  idoc: async () => (await import('./idoc-receiver.ts')).idocReceiver,
  soap: async () => (await import('./soap-receiver.ts')).soapReceiver,
  xi: async () => (await import('./xi-receiver.ts')).xiReceiver,
  dataverse: async () => (await import('./dataverse.ts')).dataverse,
} as DeclarationLoaders['receivers']
