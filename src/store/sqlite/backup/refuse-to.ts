import { HubError } from '../../../kernel/error.ts'
import { storeErrors } from '../../errors.ts'
import { isDamagedDatabase } from '../failure.ts'

/** Turns what the disk under a folder says to a write into STORE_BACKUP_NOT_WRITTEN. */
export function refuseTo(folder: string): (thrown: unknown) => never {
  return thrown => {
    const isOfDisk = thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string'
    if (!isOfDisk || thrown instanceof HubError || isDamagedDatabase(thrown)) throw thrown
    throw storeErrors.BACKUP_NOT_WRITTEN({ folder, text: thrown.message }, { cause: thrown })
  }
}
