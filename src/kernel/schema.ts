import { z } from 'zod'
import { parseSize } from './size.ts'
import { parseDuration } from './time.ts'

const durationPattern = /^(\d+(\.\d+)?(ms|s|m|h|d))+$/
const sizePattern = /^\d+(\.\d+)?\s*(B|kB|MB|GB|KiB|MiB|GiB)$/

/** A duration in words (`4h`, `1h30m`); the parsed value is milliseconds. */
export const duration = z
  .string()
  .regex(durationPattern, 'a duration is a number and a unit: 250ms, 30s, 15m, 4h, 2d')
  .transform(parseDuration)
  .meta({ title: 'duration', examples: ['30s', '4h'] })

/** What would end everything before it begins, or never rest, is a mistake, and not a word for `never`. */
export const someTime = duration.refine(ms => ms > 0, 'longer than 0s, please')

/** A size in words (`50MiB`); the parsed value is bytes. */
export const size = z
  .string()
  .regex(sizePattern, 'a size is a number and a unit: 512B, 64KiB, 50MiB, 1GiB')
  .transform(parseSize)
  .meta({ title: 'size', examples: ['64KiB', '50MiB'] })

/** The host name or address of a server. */
export const host = z
  .string()
  .regex(
    /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$|^[0-9a-fA-F:]+$/,
    'a host is a name or an address, without scheme, port or path',
  )
  .meta({ title: 'host', examples: ['outlook.office365.com'] })

export const port = z.number().int().min(1).max(65535).meta({ title: 'port' })

/** The name of a credential. The secret itself never stands in a document. */
export const credentialName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'the name of a credential: letters, digits, dot, underscore, hyphen')
  .meta({ title: 'credential', description: 'Name of a credential in the hub.', examples: ['m365-mail'] })

/** The location id of on-premise connectors. */
export const location = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/,
    'the location id of a connector: letters, digits, dot, underscore, hyphen',
  )
  .meta({
    title: 'location',
    description: 'Location of the on-premise connector that opens the connection.',
    examples: ['dc-frankfurt'],
  })
