import { KiB, MiB } from '../../src/kernel/size.ts'
import { businessMails } from './business-mails.ts'
import { headerShapes } from './header-shapes.ts'
import { lineForms, oddForms } from './line-forms.ts'
import { loops } from './loops.ts'
import { mimeShapes } from './mime-shapes.ts'
import { mailWith, type NamedMail } from './named-mail.ts'

/** Every odd and hostile mail we could think of or read about, each named after what is odd. The same at every call. */
export function hostileMails(): NamedMail[] {
  return [...lineForms(), ...oddForms(), ...mimeShapes(), ...headerShapes(), ...businessMails(), ...loops(), ...sizes()]
}

/** Around the sizes at which a store changes its way or a buffer ends; beyond that see `largeMail`. */
function sizes(): NamedMail[] {
  const sizeBytes = [64 * KiB - 1, 64 * KiB, 64 * KiB + 1, 256 * KiB - 1, 256 * KiB, 256 * KiB + 1, MiB, 5 * MiB]
  return sizeBytes.map(bytes => {
    const name = `size-${bytes}`
    const headerBytes = mailWith(name, [], '').bytes.length
    const lines = `${'0123456789'.repeat(7)}\r\n`.repeat(Math.ceil(bytes / 72))
    return mailWith(name, [], `${lines.slice(0, bytes - headerBytes - 2).replace(/\r$/, 'x')}\r\n`)
  })
}
