import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeTwinCertificate } from '../../src/twins/certificate.ts'
import { type ExchangeImapTwin, startExchangeImap } from '../../src/twins/exchange-imap/exchange-imap.ts'
import { type S4SmtpTwin, startS4Smtp } from '../../src/twins/s4-smtp/s4-smtp.ts'
import { contoso, contosoSecret } from '../../src/twins/sign-in/contoso.ts'
import { type SignInTwin, startSignIn } from '../../src/twins/sign-in/sign-in.ts'
import { type ServerProcess, startProcess } from '../foreign/servers/server-process.ts'
import { freePorts, waitFor } from '../foreign/servers/wait.ts'

const root = resolve(import.meta.dirname, '../..')
const guide = readFileSync(join(root, 'docs/guides/mail.md'), 'utf8')
const blocks = [...guide.matchAll(/^```(yaml|sh) ?(\S*)\n([\s\S]*?)^```/gm)].map(([, kind, info = '', text = '']) => ({
  kind,
  info,
  text,
}))

/** A newcomer's machine: an empty folder, and twins where the guide names Microsoft's and SAP's hosts. */
let folder: string
let signIn: SignInTwin
let imap: ExchangeImapTwin
let s4: S4SmtpTwin
let hub: ServerProcess | undefined
let adminPort = 0

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-guide-'))
  const ports = await freePorts(2)
  adminPort = ports[0] ?? 0
  const tls = await makeTwinCertificate()
  const redirect = `http://localhost:${adminPort}/oauth/callback`
  signIn = await startSignIn({ tenants: [contosoWithOrders(redirect)], isAutomatic: true })
  imap = await startExchangeImap({
    signIn,
    tls,
    mailboxes: { 'orders@contoso.com': {}, 'invoices@contoso.com': { fullAccess: ['orders@contoso.com'] } },
  })
  s4 = await startS4Smtp({ tls })
  writeFileSync(join(folder, 'ca.pem'), tls.ca)
  writeFileSync(join(folder, 'client-secret.txt'), contosoSecret)
  const localised: Record<string, (text: string) => string> = {
    'isthmus.yaml': text =>
      `${text.replace('8080', String(adminPort)).replace('8081', String(ports[1]))}trust: [ca.pem]\n`,
    'mail/params/prod.yaml': () =>
      `imapHost: 127.0.0.1\nimapPort: ${imap.port}\nsmtpHost: 127.0.0.1\nsmtpPort: ${s4.port}\n`,
    'm365-mail.yaml': text => text.replace('tenant: contoso.com', `tenant: contoso.com, authority: '${signIn.origin}'`),
  }
  for (const { info, text } of blocks) {
    const file = /^file=(\S+)$/.exec(info)?.[1]
    if (file === undefined) continue
    mkdirSync(dirname(join(folder, file)), { recursive: true })
    writeFileSync(join(folder, file), localised[file]?.(text) ?? text)
  }
})
afterAll(async () => {
  await hub?.stop()
  await Promise.all([signIn?.stop(), imap?.stop(), s4?.stop()])
  rmSync(folder, { recursive: true, force: true })
})

test('every command of the guide works, and mails land in S/4HANA', async () => {
  const commands = blocks.filter(({ kind }) => kind === 'sh')
  expect(commands.map(({ info }) => info)).toContain('background')
  for (const { info, text } of commands) {
    for (const line of text.trim().split('\n')) {
      if (info === 'background') hub = await serve(line)
      else await follow(line, await run(line))
    }
  }
  imap.deliver('orders@contoso.com', Buffer.from('Message-ID: <1@x>\r\nTo: orders@contoso.com\r\n\r\nOrder 1\r\n'))
  imap.deliver(
    'invoices@contoso.com',
    Buffer.from('Message-ID: <2@x>\r\nTo: invoices@contoso.com\r\n\r\nInvoice 2\r\n'),
  )
  await waitFor(
    'both mails',
    20_000,
    () => isThere('<1@x>', 'orders@s4.example') && isThere('<2@x>', 'invoices@s4.example'),
  )
  const probes = s4.received.filter(mail => mail.octets?.toString('latin1').includes('Subject: Isthmus probe'))
  expect(probes.flatMap(({ to }) => to)).toContain('probe@s4.example')
  expect(probes.every(({ to }) => to.join() === 'probe@s4.example')).toBe(true)
  const found = await run("isthmus message find '<1@x>'")
  expect(found.output).toContain('delivered')
}, 90_000)

function isThere(messageId: string, recipient: string): boolean {
  return s4.received.some(mail => mail.messageId === messageId && mail.to.includes(recipient))
}

/** What a person does after a command: open the address that it printed. */
async function follow(command: string, { code, output }: { readonly code: number; readonly output: string }) {
  expect(code, `${command}\n${output}`).toBe(0)
  if (!command.includes('credential authorise')) return
  const address = /https?:\/\/\S+/.exec(output)?.[0] ?? ''
  const page = await browse(address)
  expect(page).toContain('m365-mail')
}

/** A browser that keeps cookies and follows redirects; the sign-in twin signs the proposed account in by itself. */
async function browse(address: string): Promise<string> {
  const cookies = new Map<string, string>()
  let next = address
  for (let hops = 0; hops < 10; hops++) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const answer = await fetch(next, { redirect: 'manual', headers: cookie === '' ? {} : { cookie } })
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      cookies.set(name, value)
    }
    const location = answer.headers.get('location')
    if (location === null) return answer.text()
    next = new URL(location, next).href
  }
  throw new Error(`Too many redirects from ${address}.`)
}

function args(line: string): string[] {
  const words = line.match(/'[^']*'|\S+/g) ?? []
  return words.slice(1).map(word => word.replace(/^'|'$/g, ''))
}

const isthmus = join(root, 'src/cli/isthmus.js')
const environment = () => ({ ...process.env, ISTHMUS_URL: `http://127.0.0.1:${adminPort}`, NO_COLOR: '1' })

async function run(line: string): Promise<{ code: number; output: string }> {
  const { spawn } = await import('node:child_process')
  const child = spawn(process.execPath, [isthmus, ...args(line)], { cwd: folder, env: environment() })
  let output = ''
  child.stdout.on('data', chunk => {
    output += chunk
  })
  child.stderr.on('data', chunk => {
    output += chunk
  })
  const code = await new Promise<number>(done => child.once('close', exit => done(exit ?? -1)))
  return { code, output }
}

async function serve(line: string): Promise<ServerProcess> {
  const started = startProcess(process.execPath, [isthmus, ...args(line)], { cwd: folder, env: environment() })
  await waitFor('the hub', 20_000, async () => {
    if (!started.isRunning()) throw new Error(started.output())
    const answer = await fetch(`http://127.0.0.1:${adminPort}/readyz`).catch(() => undefined)
    return answer?.ok
  })
  return started
}

/** The twin's organization, in which the account of the guide exists. */
function contosoWithOrders(redirect: string): ReturnType<typeof contoso> {
  const tenant = contoso([redirect])
  return { ...tenant, users: [...tenant.users, { name: 'orders@contoso.com' }] }
}
