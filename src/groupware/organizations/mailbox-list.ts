import { organizationLimits as limits } from './limits.ts'
import { type MailboxInput, mailboxInput } from './organization-input.ts'

/** Byte order marks, and what chats and web pages put between the letters of an address that is copied from there. */
const invisible = /[\u200B-\u200F\u202A-\u202E\u2060\uFEFF]/gu

/** What stands in the place of octets that are no UTF-8: Excel saves CSV in the code page of its machine. */
const unreadable = '\uFFFD'

/** What a list of mailboxes would do, line by line. */
export interface ReadList {
  readonly rows: readonly { readonly line: number; readonly mailbox: MailboxInput }[]
  readonly mistakes: readonly { readonly line: number; readonly message: string }[]
}

const columns = { mailbox: 'address', 'crm-user': 'crmAddress', credential: 'auth' } as const

/**
 * Reads a pasted list (an address in each line; with commas, semicolons or spaces between them; `Name <address>` as mail
 * programs copy it) or a CSV, which is one when its first line names the column `mailbox`; further columns: `crm-user`,
 * `credential`. Lines that are empty or begin with # say nothing. Never throws: mistakes come with their lines.
 */
export function readMailboxList(text: string): ReadList {
  const rows: { line: number; mailbox: MailboxInput }[] = []
  const mistakes: { line: number; message: string }[] = []
  if (Buffer.byteLength(text) > limits.listBytes) {
    return { rows, mistakes: [{ line: 1, message: `the list is larger than ${limits.listBytes} octets` }] }
  }
  const lines = text.replace(invisible, '').split(/\r\n|\r|\n/)
  const seen = new Map<string, number>()
  const take = (line: number, given: unknown) => {
    if (mistakes.length >= limits.listMistakesMax) return
    if (JSON.stringify(given).includes(unreadable)) {
      mistakes.push({ line, message: 'letters that are not UTF-8: save the list as UTF-8' })
      return
    }
    const read = mailboxInput.safeParse(given)
    if (!read.success) {
      const issue = read.error.issues[0]
      mistakes.push({ line, message: `${issue?.path.join('.') || 'line'}: ${issue?.message ?? 'not understood'}` })
      return
    }
    const before = seen.get(read.data.address)
    if (before !== undefined) mistakes.push({ line, message: `${read.data.address} stands in line ${before} already` })
    else if (rows.length >= limits.listRows) mistakes.push({ line, message: `more than ${limits.listRows} mailboxes` })
    else rows.push({ line, mailbox: read.data })
    seen.set(read.data.address, before ?? line)
  }
  const separator = takeSeparator(lines)
  const first = lines.findIndex(isTelling)
  const header = splitRow(lines[first] ?? '', separator)
  const isCsv = header?.some(name => name.trim().toLowerCase() === 'mailbox') ?? false
  if (isCsv && header) readCsv({ lines, first, header, separator }, take, mistakes)
  else {
    for (const [at, line] of lines.entries()) {
      if (mistakes.length >= limits.listMistakesMax) break
      if (isTelling(line)) readPasted(at + 1, line, take)
    }
  }
  const isFull = mistakes.length >= limits.listMistakesMax
  if (isFull) mistakes.push({ line: lines.length, message: 'there are more mistakes; this is no list of mailboxes' })
  return { rows, mistakes }
}

function readPasted(line: number, text: string, take: (line: number, given: unknown) => void): void {
  const bracketed = [...text.matchAll(/<([^<>]*)>/g)].map(match => match[1] ?? '')
  const words = text.replace(/<[^<>]*>/g, ' ').split(/[\s,;]+/)
  // Beside addresses in brackets stand names, and perhaps addresses without any.
  const bare = words.filter(word => (bracketed.length > 0 ? word.includes('@') : word !== ''))
  for (const address of [...bracketed, ...bare]) take(line, { address })
}

interface Csv {
  readonly lines: readonly string[]
  /** Where the header stands. */
  readonly first: number
  readonly header: readonly string[]
  readonly separator: string
}

function readCsv(
  { lines, first, header, separator }: Csv,
  take: (line: number, given: unknown) => void,
  mistakes: { line: number; message: string }[],
): void {
  const names = header.map(name => name.trim().toLowerCase())
  for (const [index, name] of names.entries()) {
    if (!Object.hasOwn(columns, name)) {
      mistakes.push({
        line: first + 1,
        message: `unknown column "${header[index]?.trim().slice(0, 40)}"; there are mailbox, crm-user, credential`,
      })
    } else if (names.indexOf(name) !== index) {
      mistakes.push({ line: first + 1, message: `column "${name}" is there twice` })
    }
  }
  if (mistakes.length > 0) return
  for (const [at, text] of lines.entries()) {
    if (at <= first || !isTelling(text) || mistakes.length >= limits.listMistakesMax) continue
    const cells = splitRow(text, separator)
    if (!cells) mistakes.push({ line: at + 1, message: 'a quote that is not closed' })
    else if (cells.length > names.length) {
      mistakes.push({ line: at + 1, message: `${cells.length} values for ${names.length} columns` })
    } else {
      const given = names.flatMap((name, index) => {
        const cell = cells[index]?.trim() ?? ''
        return cell === '' ? [] : [[columns[name as keyof typeof columns], cell]]
      })
      take(at + 1, Object.fromEntries(given))
    }
  }
}

function isTelling(line: string): boolean {
  const text = line.trim()
  return text !== '' && !text.startsWith('#')
}

/** The separator of a CSV. The line `sep=;`, by which programs tell it to Excel, is taken out of the lines. */
function takeSeparator(lines: string[]): string {
  const first = lines.findIndex(isTelling)
  const told = /^"?sep=(.)"?[\s,;]*$/i.exec(lines[first] ?? '')?.[1]
  if (told !== undefined) lines[first] = ''
  return told ?? separatorOf(lines[first] ?? '')
}

/** Excel writes semicolons where the comma is the decimal sign. */
function separatorOf(header: string): string {
  return header.includes(';') ? ';' : header.includes('\t') ? '\t' : ','
}

/** RFC 4180 for one line; undefined when a quote stays open. */
function splitRow(text: string, separator: string): readonly string[] | undefined {
  const cells: string[] = []
  let cell = ''
  let isQuoted = false
  for (let at = 0; at < text.length; at++) {
    const letter = text[at]
    if (isQuoted && letter === '"' && text[at + 1] === '"') {
      cell += '"'
      at++
    } else if (letter === '"') isQuoted = !isQuoted
    else if (letter === separator && !isQuoted) {
      cells.push(cell)
      cell = ''
    } else cell += letter
  }
  cells.push(cell)
  // Excel ends the rows with separators where further columns were emptied.
  while (cells.length > 1 && cells.at(-1)?.trim() === '') cells.pop()
  return isQuoted ? undefined : cells
}
