import { strike } from '../twin.ts'
import type { Command } from './command-reader.ts'
import type { Connection } from './connection.ts'
import type { Mailbox } from './mailbox.ts'
import { badArgument, Refusal } from './reply.ts'

const responseBytesMax = 16_384
const exchangeAudiences = ['https://outlook.office.com', 'https://outlook.office365.com']

/** AUTHENTICATE with XOAUTH2, with or without an initial response; PLAIN is announced as Exchange does. */
export async function authenticate(connection: Connection, { text }: Command): Promise<string> {
  text.space()
  const mechanism = text.atom().toUpperCase()
  if (mechanism !== 'XOAUTH2' && mechanism !== 'PLAIN') throw badArgument()
  let response: string
  if (text.isAtEnd()) {
    response = await ask(connection, '')
  } else {
    text.space()
    response = text.word()
    text.end()
  }
  const words = Buffer.from(response, 'base64').toString()
  if (mechanism === 'PLAIN') {
    const [actAs = '', user = '', password = ''] = words.split('\0')
    logInByPassword(connection, user, password, 'AUTHENTICATE', actAs || user)
  } else {
    await logInByToken(connection, words)
  }
  return 'AUTHENTICATE completed.'
}

export function logIn(connection: Connection, { text }: Command): string {
  text.space()
  const user = text.astring()
  text.space()
  const password = text.astring()
  text.end()
  logInByPassword(connection, user, password, 'LOGIN')
  return 'LOGIN completed.'
}

async function logInByToken(connection: Connection, words: string): Promise<void> {
  const { world } = connection
  // The SASL string of XOAUTH2: user=… ^A auth=Bearer … ^A ^A
  const parts = words.split('\x01')
  const user = /^user=(.*)$/i.exec(parts[0] ?? '')?.[1] ?? ''
  const token = parts.length === 4 ? (/^auth=Bearer (.*)$/i.exec(parts[1] ?? '')?.[1] ?? '') : ''
  const claims = world.signIn.verify(token)
  const isForExchange = claims !== undefined && exchangeAudiences.includes(claims.aud)
  if (!isForExchange || strike(world.faults().refuseLogin)) {
    if (world.faults().challengeRefusals) {
      const challenge = { status: '400', schemes: 'Bearer', scope: 'https://outlook.office.com/' }
      await ask(connection, Buffer.from(JSON.stringify(challenge)).toString('base64'))
    }
    throw new Refusal('NO', 'AUTHENTICATE failed.')
  }
  const mailbox = world.mailboxes.get(user.toLowerCase())
  const hasPermission = claims.upn
    ? (claims.scp ?? '').split(' ').includes('IMAP.AccessAsUser.All')
    : (claims.roles ?? []).includes('IMAP.AccessAsApp')
  const who = claims.upn ?? claims.appid
  connection.token = token
  enter(connection, who, mailbox && hasPermission && isAllowed(mailbox, who) ? mailbox : undefined)
}

/** `actAs`: whose mailbox is to be opened (RFC 4616). */
function logInByPassword(connection: Connection, user: string, password: string, verb: string, actAs = user): void {
  const { world } = connection
  const own = world.mailboxes.get(user.toLowerCase())
  const isRight = own?.password !== undefined && own.password === password
  if (!world.isPasswordAllowed || !isRight || strike(world.faults().refuseLogin)) {
    throw new Refusal('NO', `${verb} failed.`)
  }
  const mailbox = world.mailboxes.get(actAs.toLowerCase())
  enter(connection, user, mailbox && isAllowed(mailbox, user) ? mailbox : undefined)
}

/** A good token for a mailbox that stays closed is not refused here: Exchange says so only at the next command. */
function enter(connection: Connection, user: string, mailbox: Mailbox | undefined): void {
  const { world } = connection
  const { notConnected, connectionsMax } = world.faults()
  connection.user = user
  const isOpen =
    mailbox?.isImapOn === true &&
    !strike(notConnected) &&
    world.connectionCount(mailbox) < (connectionsMax ?? Number.POSITIVE_INFINITY)
  connection.state = isOpen ? 'in' : 'unconnected'
  connection.mailbox = isOpen ? mailbox : undefined
}

function isAllowed(mailbox: Mailbox, who: string): boolean {
  return mailbox.address.toLowerCase() === who.toLowerCase() || mailbox.fullAccess.has(who.toLowerCase())
}

async function ask(connection: Connection, challenge: string): Promise<string> {
  connection.wire.line(`+ ${challenge}`)
  await connection.wire.flush()
  const response = await connection.reader.line(responseBytesMax)
  if (response === undefined || response === '*') throw new Refusal('BAD', 'AUTHENTICATE failed.')
  return response
}
