import { expect, onTestFinished, test } from 'vitest'
import { identityProviderWorld, providerClient } from '../../api/identity-provider-world.ts'
import type { ConnectRequest } from '../../kernel/socket.ts'
import { systemClock } from '../../kernel/time.ts'
import { makeConnect } from '../../protocols/net/connect.ts'
import { createOidcLogIn } from './oidc-log-in.ts'

test('the provider is reached as all else is, so through a proxy, too', async () => {
  const provider = await identityProviderWorld({ sub: 'anna', groups: ['ops'] })
  onTestFinished(() => provider.close())
  const asked: string[] = []
  const direct = makeConnect()
  const connect = Object.assign((request: ConnectRequest) => {
    asked.push(`http://${request.host}:${request.port}`)
    return direct(request)
  }, direct)
  const logIn = createOidcLogIn({
    settings: {
      issuer: provider.issuer,
      clientId: providerClient.id,
      credential: 'sign-in',
      scopes: [],
      nameClaim: 'sub',
      groupsClaim: 'groups',
      roles: { ops: ['AuthGroup.ReadOnly'] },
    },
    connect,
    credential: async () => ({ kind: 'secret', secret: providerClient.secret }),
    clock: systemClock,
    redirectUri: () => 'http://127.0.0.1/oauth/administrator',
  })
  const { url, browser } = await logIn.begin()
  expect(asked).toEqual([provider.issuer])
  const { headers } = await fetch(url, { redirect: 'manual' })
  const back = new URL(headers.get('location') ?? '').searchParams
  expect(await logIn.finish(back, browser)).toMatchObject({ name: 'oidc:anna' })
})
