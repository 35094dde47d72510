import { z } from 'zod'
import { port } from '../kernel/schema.ts'
import type { StoreSettings } from '../store/open-store.ts'

const name = z.string().regex(/^[a-z_][a-z0-9_]{0,62}$/, 'write lower-case letters, digits and _')

const postgres = z.strictObject({
  host: z
    .string()
    .min(1)
    .meta({ description: 'The server, or the folder of its UNIX socket.', examples: ['db.contoso.com'] }),
  port: port.default(5432),
  database: z.string().min(1).default('isthmus'),
  user: z.string().min(1).default('isthmus'),
  'password-file': z
    .string()
    .optional()
    .meta({
      description: 'File with the password; else ISTHMUS_POSTGRES_PASSWORD, or none.',
      examples: ['/run/secrets/isthmus-db'],
    }),
  schema: name.default('isthmus').meta({ description: 'Made at the first start; hubs that share it take turns.' }),
  tls: z.boolean().optional().meta({
    description:
      'TLS, with a certificate of an authority of the system or under trust. Default: true, but false for a server on this machine.',
  }),
})

/** `store` in isthmus.yaml. */
export const storeSection = z
  .strictObject({
    postgres: postgres.meta({ description: 'PostgreSQL 14 or later, reached without a pooler of transactions.' }),
    standby: z.boolean().default(true).meta({
      description: 'Waits while another hub works with the schema, and takes over when that ends; false: ends at once.',
    }),
  })
  .optional()
  .meta({ description: 'Where messages and all else is kept. Left out: in the data folder, by this hub alone.' })

/** `readFile` reads a file that isthmus.yaml names under `key`. */
export function storeSettings(
  section: z.output<typeof storeSection>,
  password: string | undefined,
  readFile: (file: string, key: string) => string,
): StoreSettings | undefined {
  if (!section) return undefined
  const { host, port, database, user, schema, tls, 'password-file': passwordFile } = section.postgres
  const isHere = /^(\/|127(\.\d+){3}$|::1$|localhost$)/.test(host)
  return {
    address: {
      host,
      port,
      database,
      user,
      schema,
      password:
        passwordFile === undefined ? password : readFile(passwordFile, 'store.postgres.password-file').trimEnd(),
      tls: tls ?? !isHere,
    },
    standby: section.standby,
  }
}
