import { afterEach, beforeEach, expect, test } from 'vitest'
import { createFolder, selectFolder } from './folder.ts'
import { openClient, ScriptedServer } from './mailbox-world.ts'

let server: ScriptedServer
let port: number

beforeEach(async () => {
  server = new ScriptedServer()
  port = await server.start()
  server.capabilities += ' NAMESPACE'
})
afterEach(() => server.stop())

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: { code: string; fields: Record<string, unknown> }) => error,
  )

// The first is Courier's, the second that of Cyrus before version 3.
test.each([
  ['(("INBOX." ".")) NIL (("#shared." ".")("shared." "."))', 'Archive/Done', 'INBOX.Archive.Done'],
  ['(("INBOX." ".")) (("user." ".")) (("" "."))', 'Processed', 'INBOX.Processed'],
  ['(("" ".")) NIL NIL', 'Archive/Done', 'Archive.Done'],
  ['(("Mail/" "/")("#mh/" NIL "X-PARAM" ("a"))) NIL NIL', 'Processed', 'Mail/Processed'],
  ['(("Post&AOQ-mter/" "/")) NIL NIL', 'Processed', 'Postämter/Processed'],
  ['(("a\\\\" "\\\\")) NIL NIL', 'b/c', 'a\\b\\c'],
])('a server with %s calls %s %s', async (namespace, folder, name) => {
  const connection = await openClient(port)
  server.when(/^NAMESPACE/, (tag, _line, send) => {
    send(`* NAMESPACE ${namespace}\r\n`)
    return `${tag} OK done`
  })
  server.when(/^CREATE/, 'NO Invalid mailbox name.')
  server.when(/^SELECT/, 'NO Mailbox does not exist, or must be subscribed to.')
  for (const refused of [createFolder(connection, folder), selectFolder(connection, folder)]) {
    expect(await failure(refused)).toMatchObject({ code: 'IMAP_FOLDER_PLACE', fields: { folder, name } })
  }
})

test.each([
  ['the name is as the server has it', '(("INBOX." ".")) NIL NIL', 'NO Invalid mailbox name.', 'inbox.Processed'],
  ['the account may not', '(("INBOX." ".")) NIL NIL', 'NO [NOPERM] Permission denied', 'Processed'],
  ['there is no prefix', '(("" "/")) NIL NIL', 'NO no', 'Processed'],
  ['there are no folders of its own', 'NIL NIL (("" "/"))', 'NO no', 'Processed'],
  ['there are no levels', '(("" NIL)) NIL NIL', 'NO no', 'a/b'],
])('what the server said is told where %s', async (_why, namespace, answer, folder) => {
  const connection = await openClient(port)
  server.when(/^NAMESPACE/, (tag, _line, send) => {
    send(`* NAMESPACE ${namespace}\r\n`)
    return `${tag} OK done`
  })
  server.when(/^CREATE/, answer)
  expect(await failure(createFolder(connection, folder))).toMatchObject({
    code: 'IMAP_COMMAND_REFUSED',
    fields: { answer },
  })
})

test('a server that knows no NAMESPACE is not asked', async () => {
  server.capabilities = server.capabilities.replace(' NAMESPACE', '')
  server.when(/^CREATE/, 'NO Invalid mailbox name.')
  expect(await failure(createFolder(await openClient(port), 'a/b'))).toMatchObject({
    code: 'IMAP_COMMAND_REFUSED',
  })
  expect(server.lines).not.toContain('NAMESPACE')
})
