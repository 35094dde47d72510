import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { type CertificateAnswer, certificateAnswer } from '../wire.ts'
import { connectorErrors } from './errors.ts'

const storedIdentity = z.strictObject({ ...certificateAnswer.shape, key: z.string(), name: z.string() })

/** Who this connector is to the hub: its certificate and key, whom it trusts, and where the hub is reached. */
export interface Identity extends CertificateAnswer {
  /** What people call it. */
  readonly name: string
  /** PKCS #8, PEM. */
  readonly key: string
  /** Validity of the certificate, milliseconds since 1970 UTC. */
  readonly beginsAt: number
  readonly endsAt: number
}

/** One file, so that key and certificate always change together. */
export function identityFile(dataFolder: string): string {
  return join(dataFolder, 'identity.json')
}

/** Undefined where the connector is not enrolled. Throws CONNECTOR_IDENTITY_UNREADABLE. */
export async function readIdentity(dataFolder: string): Promise<Identity | undefined> {
  const file = identityFile(dataFolder)
  try {
    const text = await readFile(file, 'utf8')
    return withValidity(storedIdentity.parse(JSON.parse(text)))
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined
    const text = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause)
    throw connectorErrors.IDENTITY_UNREADABLE({ file, text }, { cause })
  }
}

/**
 * Keeps what the hub answered, readable by the user of the connector alone; whole or not at all. Throws
 * CONNECTOR_IDENTITY_UNWRITABLE, and what node:crypto throws where key and certificate do not belong together.
 */
export async function writeIdentity(
  dataFolder: string,
  fields: CertificateAnswer & { readonly key: string; readonly name: string },
): Promise<Identity> {
  const identity = withValidity(fields)
  const { beginsAt: _begins, endsAt: _ends, ...stored } = identity
  await writeWhole(dataFolder, `${JSON.stringify(stored, null, 2)}\n`).catch(cause => refuseToKeep(dataFolder, cause))
  return identity
}

/** Proves, before a token is used up, that an identity can be kept. Throws CONNECTOR_IDENTITY_UNWRITABLE. */
export async function proveWritable(dataFolder: string): Promise<void> {
  try {
    await mkdir(dataFolder, { recursive: true, mode: 0o700 })
    const handle = await open(newFile(dataFolder), 'w', 0o600)
    await handle.close()
    await rm(newFile(dataFolder))
  } catch (cause) {
    refuseToKeep(dataFolder, cause)
  }
}

async function writeWhole(dataFolder: string, text: string): Promise<void> {
  await mkdir(dataFolder, { recursive: true, mode: 0o700 })
  const handle = await open(newFile(dataFolder), 'w', 0o600)
  try {
    await handle.chmod(0o600)
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(newFile(dataFolder), identityFile(dataFolder))
  const folder = await open(dataFolder, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

function newFile(dataFolder: string): string {
  return `${identityFile(dataFolder)}.new`
}

function refuseToKeep(dataFolder: string, cause: unknown): never {
  const text = cause instanceof Error ? cause.message : String(cause)
  throw connectorErrors.IDENTITY_UNWRITABLE({ file: identityFile(dataFolder), text }, { cause })
}

/** Throws what node:crypto throws where key and certificate are none or do not belong together. */
function withValidity<T extends { readonly certificate: string; readonly key: string }>(fields: T) {
  const certificate = new X509Certificate(fields.certificate)
  if (!certificate.checkPrivateKey(createPrivateKey(fields.key))) throw new Error('key and certificate do not fit')
  return { ...fields, beginsAt: Date.parse(certificate.validFrom), endsAt: Date.parse(certificate.validTo) }
}
