import { defineErrors } from '../kernel/error.ts'

export const vaultErrors = defineErrors('VAULT', {
  KEY_MISSING: {
    side: 'hub',
    retry: 'never',
    means:
      'Secrets in the store are sealed with master key {id}, which is neither in {file} nor in ISTHMUS_MASTER_KEY.',
    next: 'Put the key file back from its backup (it is kept apart from the database), then start again.',
  },
  KEY_WRONG: {
    side: 'hub',
    retry: 'never',
    means: 'Master key {id} from {source} is not the one that sealed the secrets in the store.',
    next: 'Use the key that belongs to this database; restore database and key from backups of the same hub.',
  },
  KEY_MALFORMED: {
    side: 'hub',
    retry: 'never',
    means: 'The master key in {source} cannot be read: entry {entry} is not a name, a colon and 32 bytes in base64.',
    next: 'Write one "name:base64" per line (or separated by commas); make the bytes with openssl rand -base64 32.',
  },
  KEY_FILE_OPEN: {
    side: 'hub',
    retry: 'never',
    means: 'Others than its owner may read the master key {file} (mode {mode}).',
    next: 'Run chmod 600 on the file; if others may have read it, add a new key in front and rotate.',
  },
  KEY_FILE_GONE: {
    side: 'caller',
    retry: 'never',
    means: 'There is no key file {file}.',
    next: 'Name the file master.key in the data folder of the hub; where ISTHMUS_MASTER_KEY is used, put a key in front there.',
  },
  KEY_NOT_LOADED: {
    side: 'caller',
    retry: 'after-change',
    means:
      'Master key {id} stands in front in {file}, and the hub, which has run since before that, does not know it yet.',
    next: 'Start the hub anew, then run isthmus vault rotate; take no key out of the file before.',
  },
  UNREADABLE: {
    side: 'hub',
    retry: 'after-change',
    means: 'The sealed {field} of {type} {id} cannot be opened: {reason}.',
    next: 'It was changed outside the hub, or belongs to another backup. Enter the secret again.',
  },
})
