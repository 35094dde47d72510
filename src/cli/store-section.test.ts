import { expect, test } from 'vitest'
import { parseHubConfig } from './hub-config.ts'
import { storeSettings } from './store-section.ts'

const files: Readonly<Record<string, string>> = { 'db-password': 'from a file\n' }

function settingsOf(text: string, password?: string) {
  const { store } = parseHubConfig(text, 'isthmus.yaml')
  return storeSettings(store, password, (file, key) => {
    expect(key).toBe('store.postgres.password-file')
    return files[file] ?? ''
  })
}

test('without a store there is none but that of the data folder', () => {
  expect(settingsOf('')).toBeUndefined()
})

test('a server elsewhere is reached by TLS, and the second hub waits', () => {
  expect(settingsOf('store: { postgres: { host: db.contoso.com } }', 'from the environment')).toEqual({
    address: {
      host: 'db.contoso.com',
      port: 5432,
      database: 'isthmus',
      user: 'isthmus',
      schema: 'isthmus',
      password: 'from the environment',
      tls: true,
    },
    standby: true,
  })
})

test.each([
  ['/var/run/postgresql', false],
  ['localhost', false],
  ['127.0.0.1', false],
  ['::1', false],
  ['127.example.com', true],
  ['localhost.contoso.com', true],
])('the server %s is reached by TLS: %s', (host, tls) => {
  expect(settingsOf(`store: { postgres: { host: "${host}" } }`)?.address.tls).toBe(tls)
  expect(settingsOf(`store: { postgres: { host: "${host}", tls: ${!tls} } }`)?.address.tls).toBe(!tls)
})

test('a file with the password wins, its line end left out', () => {
  const text = 'store: { postgres: { host: db, password-file: db-password }, standby: false }'
  expect(settingsOf(text, 'from the environment')).toMatchObject({
    address: { password: 'from a file' },
    standby: false,
  })
})

test.each(['Orders', 'my-schema', 'a"; drop table x', ''])('the schema %j is refused', schema => {
  expect(() => settingsOf(`store: { postgres: { host: db, schema: ${JSON.stringify(schema)} } }`)).toThrow(
    /lower-case letters/,
  )
})
