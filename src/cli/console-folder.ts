import { resolve } from 'node:path'

/** Where `npm run console` leaves the built web console. */
export const consoleFolder = resolve(import.meta.dirname, '../../console/dist')

/** The address of the console; with the setup token it opens with the form filled in, which the hub is not told of. */
export function consoleUrl(adminUrl: string, setupToken?: string): string {
  return `${adminUrl}/console/${setupToken === undefined ? '' : `#${setupToken}`}`
}
