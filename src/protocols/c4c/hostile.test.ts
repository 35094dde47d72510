import { afterEach, beforeEach, expect, test } from 'vitest'
import { ScriptedService } from '../odata/odata-world.ts'
import { c4cClientOf } from './c4c-world.ts'

// Answers that Cloud for Customer would not give: none is taken for an entity, and no write for done.

const never = new AbortController().signal
let service: ScriptedService
let made: ReturnType<typeof c4cClientOf>

beforeEach(async () => {
  service = await new ScriptedService().start()
  made = c4cClientOf(service.root)
})
afterEach(async () => {
  await made.close()
  await service.stop()
})

test.each<[string, string, string]>([
  ['no list', '{"d":{"results":{}}}', 'ODATA_ANSWER_ODD'],
  ['a list of numbers', '{"d":{"results":[1]}}', 'C4C_ANSWER_ODD'],
  ['without an ObjectID', '{"d":{"results":[{"Subject":"x"}]}}', 'C4C_ANSWER_ODD'],
  ['with a number as ObjectID', '{"d":{"results":[{"ObjectID":7}]}}', 'C4C_ANSWER_ODD'],
  ['leading to another host', '{"d":{"results":[],"__next":"https://evil.example/x"}}', 'ODATA_NEXT_LINK_FOREIGN'],
  ['no JSON', '<html>', 'ODATA_ANSWER_ODD'],
])('a list that is %s is refused', async (_, body, code) => {
  service.says(body)
  await expect(Array.fromAsync(made.client.list('Tasks', {}, never))).rejects.toMatchObject({ code })
})

/** A batch with these parts, each `[status, body]`. */
function batch(...parts: readonly (readonly [status: number, body: string])[]): void {
  const text = parts.map(([status, body]) => {
    const http = `HTTP/1.1 ${status} x\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}\r\n`
    return `--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n${http}`
  })
  service.says(`${text.join('')}--b--\r\n`, 'multipart/mixed; boundary=b', 202)
}

test('a batch with fewer answers than questions: a read is odd, of a write nobody knows', async () => {
  batch([200, '{"d":{"results":{"ObjectID":"A"}}}'])
  await expect(made.client.read('Tasks', ['A', 'B'], [], never)).rejects.toMatchObject({ code: 'C4C_ANSWER_ODD' })
  const write = { kind: 'remove', entity: 'Tasks', id: 'A' } as const
  await expect(made.client.write([write, write], never)).rejects.toMatchObject({ code: 'C4C_OUTCOME_UNKNOWN' })
})

test.each<[string, number, string, string]>([
  ['is nothing', 200, '{"d":null}', 'C4C_ANSWER_ODD'],
  ['is a number', 200, '{"d":{"results":7}}', 'C4C_ANSWER_ODD'],
  ['is no JSON', 200, 'oops', 'C4C_ANSWER_ODD'],
  ['is busy', 503, '', 'C4C_BUSY'],
  [
    'is refused in XML',
    400,
    '<error xmlns="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata"><code>X</code><message>No.</message></error>',
    'C4C_REFUSED',
  ],
])('an entity of a batch that %s', async (_, status, body, code) => {
  batch([status, body])
  await expect(made.client.read('Tasks', ['A'], [], never)).rejects.toMatchObject({ code })
})

test('a question with yes or no is answered with neither', async () => {
  service.says('{"d":{"results":"perhaps"}}')
  await expect(made.client.isKnown('EMail', '<x>', never)).rejects.toMatchObject({ code: 'C4C_ANSWER_ODD' })
})
