import { expect, test } from 'vitest'
import type { LoadedFlow } from './document.ts'
import { locationsOf } from './locations.ts'

test('locations are found in the sender, in nested steps and in the receivers, each once', () => {
  const declaration = { id: 'x', via: 'of the declaration' }
  const flow = {
    from: { declaration, config: { via: 'dc-walldorf' } },
    steps: [{ declaration, path: 'steps[0]', config: { choose: [{ declaration, config: { via: 'dc-berlin' } }] } }],
    to: [
      { declaration, path: 'to[0]', config: { via: 'dc-frankfurt', host: 'a' } },
      { declaration, path: 'to[1]', config: { via: 'dc-frankfurt', host: 'b' } },
      { declaration, path: 'to[2]', config: { host: 'c', via: undefined } },
    ],
  } as unknown as LoadedFlow
  expect(locationsOf(flow)).toEqual(['dc-berlin', 'dc-frankfurt', 'dc-walldorf'])
})
