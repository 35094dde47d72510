import type { ReceiverDeclaration, SenderDeclaration } from '../flow/adapter.ts'
import { answers } from './answers.ts'
import { dataverse } from './dataverse.ts'
import { http } from './http.ts'
import { https } from './https.ts'
import { idocSender } from './idoc.ts'
import { idocReceiver } from './idoc-receiver.ts'
import { imap } from './imap.ts'
import { odata } from './odata.ts'
import { smtp } from './smtp.ts'
import { soapReceiver } from './soap-receiver.ts'
import { soapSender } from './soap-sender.ts'
import { timer } from './timer.ts'
import { xiReceiver } from './xi-receiver.ts'
import { xiSender } from './xi-sender.ts'

/** The senders that come with the hub. */
export const builtInSenders = [
  imap,
  https,
  timer,
  idocSender,
  soapSender,
  xiSender,
  answers,
] as readonly SenderDeclaration[]

/** The receivers that come with the hub. */
export const builtInReceivers = [
  smtp,
  http,
  odata,
  idocReceiver,
  soapReceiver,
  xiReceiver,
  dataverse,
] as readonly ReceiverDeclaration[]
