import { afterEach, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { RouteTable } from '../api/route-table.ts'
import { defineSender, type Sender, type SenderContext } from '../flow/adapter.ts'
import type { LoadedFlow } from '../flow/document.ts'
import { MINUTE } from '../kernel/time.ts'
import { netErrors } from '../protocols/net/errors.ts'
import { type EngineWorld, engineWorld, type WorldOptions } from './engine-world.ts'

let worlds: EngineWorld[] = []
async function world(options?: WorldOptions): Promise<EngineWorld> {
  const made = await engineWorld(options)
  worlds.push(made)
  return made
}
afterEach(async () => {
  await Promise.all(worlds.map(made => made.close()))
  worlds = []
})

/** A flow like that of the world, with a sender of the test's own. */
function flowWith(it: EngineWorld, name: string, open: (context: SenderContext<object>) => Sender): LoadedFlow {
  const declaration = defineSender({
    id: 'own',
    title: 'Own',
    summary: 'Does what the test says.',
    config: z.strictObject({}),
    examples: [],
    errors: {},
    open: async context => open(context),
  })
  return { ...it.flow, name, from: { declaration, config: {} } }
}

const until = (signal: AbortSignal) =>
  new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true }))

/** A sender that serves one path for as long as its flow runs. */
const serving =
  (path: string) =>
  ({ serve, flow, signal }: SenderContext<object>): Sender => ({
    async receive() {
      const handle = () => Promise.reject(new Error('nobody calls'))
      serve({ flow, path, methods: ['POST'], role: undefined, bodyBytesMax: 1, handle })
      await until(signal)
    },
    check: async () => ({ ok: true, detail: path }),
    close: async () => {},
  })

test('the network of a sender is the sending side, on its link, in a check and in a probe', async () => {
  const it = await world()
  const refused = () => netErrors.CONNECT_REFUSED({ host: 'imap.example', port: 993, reason: 'ECONNREFUSED' })
  const flow = flowWith(it, 'mails', ({ supervise }) => ({
    receive: () => supervise('box', () => Promise.reject(refused())),
    check: async () => ({ ok: false, error: refused() }),
    probe: () => Promise.reject(refused()),
    close: async () => {},
  }))
  await it.engine().start(flow)
  const sided = { code: 'NET_CONNECT_REFUSED', side: 'sender', message: refused().message }
  await vi.waitFor(() => expect(it.events).toContainEqual(expect.objectContaining({ type: 'link.down', link: 'box' })))
  expect(it.events.find(event => event.type === 'link.down')).toMatchObject({ error: sided })
  expect(await it.engine().check('mails')).toMatchObject([{ link: 'from', result: { ok: false, error: sided } }, {}])
  await expect(it.engine().probe('mails', MINUTE)).rejects.toMatchObject(sided)
})

test('what stays undone on a link is shown beside its state until it is over', async () => {
  const it = await world()
  const over = Promise.withResolvers<void>()
  const flow = flowWith(it, 'mails', ({ supervise, signal }) => ({
    receive: () =>
      supervise('box', async link => {
        link.up('reading')
        link.stuck(netErrors.CONNECT_REFUSED({ host: 'imap.example', port: 993, reason: 'no room' }))
        await over.promise
        link.stuck(undefined)
        await until(signal)
      }),
    check: async () => ({ ok: true, detail: '' }),
    close: async () => {},
  }))
  await it.engine().start(flow)
  const link = () =>
    it
      .engine()
      .flows()
      .find(({ flow: { name } }) => name === 'mails')?.links[0]
  await vi.waitFor(() => expect(link()).toMatchObject({ state: 'up', stuck: { error: { side: 'sender' } } }))
  expect(it.events).toContainEqual(expect.objectContaining({ type: 'link.trouble', link: 'box' }))
  over.resolve()
  await vi.waitFor(() => expect(link()).toMatchObject({ state: 'up', stuck: undefined }))
})

test('of two flows with one path the second is down and says why, and is served once the first stops', async () => {
  const routes = new RouteTable()
  const it = await world({ serve: route => routes.add(route) })
  const linkOf = (name: string) =>
    it
      .engine()
      .flows()
      .find(({ flow }) => flow.name === name)?.links[0]
  const [first, second] = ['first', 'second'].map(name => flowWith(it, name, serving('/orders')))
  if (!first || !second) throw new Error('two flows are made')
  await it.engine().start(first)
  await it.engine().start(second)
  expect(linkOf('second')).toMatchObject({ link: '/orders', state: 'down', error: { code: 'ENDPOINT_PATH_TAKEN' } })
  expect(linkOf('second')?.error?.next).toContain('stop flow first')
  expect((await it.engine().check('second'))[0]).toMatchObject({ result: { ok: false, error: { side: 'flow' } } })
  // A flow that only starts again keeps its path.
  await it.engine().start({ ...first, revision: 'r2' })
  expect(routes.find('/orders')?.flow).toBe('first')
  await it.engine().stop('first')
  expect(routes.find('/orders')?.flow).toBe('second')
  expect(linkOf('second')).toMatchObject({ state: 'up', error: undefined })
  expect((await it.engine().check('second'))[0]).toMatchObject({ result: { ok: true } })
  await it.engine().stop('second')
  expect(routes.find('/orders')).toBeUndefined()
})

test('a flow whose new document has another path leaves the old one to whom waits for it', async () => {
  const routes = new RouteTable()
  const it = await world({ serve: route => routes.add(route) })
  await it.engine().start(flowWith(it, 'first', serving('/orders')))
  await it.engine().start(flowWith(it, 'second', serving('/orders')))
  await it.engine().start(flowWith(it, 'first', serving('/invoices')))
  expect([routes.find('/orders')?.flow, routes.find('/invoices')?.flow]).toEqual(['second', 'first'])
})
