import { defineErrors } from '../kernel/error.ts'

export const storeErrors = defineErrors('STORE', {
  BODY_MISSING: {
    side: 'hub',
    retry: 'never',
    means: 'The body {sha256} of this message is not in the body store.',
    next: 'Restore the folder of bodies from the backup that belongs to the database.',
  },
  BODY_DAMAGED: {
    side: 'hub',
    retry: 'never',
    means: 'The {bytes} bytes of this message are missing or damaged in the folder bodies/segments of the store.',
    next: 'Check the disk; restore the folder of bodies from the backup that belongs to the database, or give the message another body.',
  },
  FENCED: {
    side: 'hub',
    retry: 'never',
    means: 'Delivery {id} was taken over by another owner.',
    next: 'Nothing; the other owner goes on with it.',
  },
  NOT_FOUND: {
    side: 'caller',
    retry: 'never',
    means: 'There is no delivery {id}.',
    next: 'Look it up with isthmus message find.',
  },
  NOT_SET_ASIDE: {
    side: 'caller',
    retry: 'never',
    means: 'Delivery {id} is {state}, not set aside.',
    next: 'Only a set-aside delivery can be repaired; a finished one can be replayed.',
  },
  RUNNING: {
    side: 'caller',
    retry: 'soon',
    means: 'Delivery {id} is being worked on right now.',
    next: 'Wait for the end of the attempt, or stop the flow first.',
  },
  FINISHED: {
    side: 'caller',
    retry: 'never',
    means: 'Delivery {id} has ended already ({state}).',
    next: 'Nothing is left to skip.',
  },
  CHANGED_MEANWHILE: {
    side: 'caller',
    retry: 'soon',
    means: 'Somebody else changed {area} {id} meanwhile.',
    next: 'Read it again and repeat the change.',
  },
  DATABASE_REFUSES: {
    side: 'hub',
    retry: 'soon',
    means: 'The database of the store takes nothing at present: {text}',
    next: 'Look after the PostgreSQL server: room on its disk, memory, free connections, and whether store.postgres leads to the one that may be written (a replica may not, nor one with default_transaction_read_only); nothing is accepted meanwhile and nothing is lost.',
  },
  FULL: {
    side: 'hub',
    retry: 'soon',
    means: 'The disk of the store is full or cannot be written: {text}',
    next: 'Free space on the disk of the data folder, and let the user that the hub runs as own the folder and all in it; nothing is accepted meanwhile and nothing is lost.',
  },
  NOT_DURABLE: {
    side: 'hub',
    retry: 'soon',
    means: 'The disk of the store did not confirm a write, so nothing more is taken until the next start: {text}',
    next: 'Check the disk of the data folder, then restart the hub; what it had acknowledged before is there.',
  },
  CONNECTION_LOST: {
    side: 'hub',
    retry: 'soon',
    means:
      'The connection to the database of the store has ended, so nothing more is taken until the next start: {text}',
    next: 'Nothing where a service manager starts the hub anew, or another hub stands by; else start it. What it had acknowledged is there.',
  },
  UNREACHABLE: {
    side: 'hub',
    retry: 'soon',
    means: 'The database {database} at {address} cannot be opened: {text}',
    next: 'Check that the server runs, and store.postgres in isthmus.yaml: host, port, database, user, password, tls.',
  },
  OWNED: {
    side: 'hub',
    retry: 'soon',
    means: 'Another hub ({owner}) works with the schema {schema} of database {database}.',
    next: 'Let it run and stop this one, start this one with standby: true to take over when the other ends, or give it a schema of its own.',
  },
  NOT_EMPTY: {
    side: 'caller',
    retry: 'never',
    means: 'The schema {schema} of database {database} is in use already: it holds messages, records or keys.',
    next: 'Copy into a schema that no hub has worked with; name it under store.postgres.schema.',
  },
  NOT_EMBEDDED: {
    side: 'caller',
    retry: 'never',
    means: 'There is no embedded store in {folder}.',
    next: 'Name the configuration of the hub whose data folder holds isthmus.db with --config.',
  },
  NOT_BACKED_UP_HERE: {
    side: 'caller',
    retry: 'never',
    means: 'The messages of this hub lie in PostgreSQL ({address}), not in its data folder.',
    next: 'Back up and restore that database with the means of PostgreSQL (pg_dump, or a base backup); docs/guides/postgresql.md says what else belongs to it, and what comes after a restore.',
  },
  NOT_IN_POSTGRES: {
    side: 'caller',
    retry: 'never',
    means: 'The messages of this hub lie in its data folder {folder}, not in PostgreSQL.',
    next: 'Nothing: isthmus store restore, which brings a backup into a data folder, has set aside what waited.',
  },
  BACKUP_THERE: {
    side: 'caller',
    retry: 'never',
    means: 'There is something at {folder} already.',
    next: 'Name a folder that is not there yet, for example with the date in its name; nothing was changed.',
  },
  BACKUP_NOT_WRITTEN: {
    side: 'caller',
    retry: 'after-change',
    means: 'The backup cannot be written to {folder}: {text}',
    next: 'Make room there, or name a place that exists and may be written to. Nothing of it is left, and the hub goes on.',
  },
  BACKUP_UNDER_WAY: {
    side: 'caller',
    retry: 'soon',
    means: 'Another backup of {folder} is under way, or the hub has been clearing up its bodies for minutes.',
    next: 'Wait for its end, then run the command again.',
  },
  BACKUP_DAMAGED: {
    side: 'caller',
    retry: 'never',
    means: 'What lies in {folder} is no whole backup: {text}',
    next: 'Take another backup, or copy this one anew from where it came from; isthmus store verify looks at all of it.',
  },
  FOLDER_TAKEN: {
    side: 'caller',
    retry: 'never',
    means: 'The data folder {folder} holds a store already ({file}).',
    next: 'Move the old one aside, or name the configuration of a hub with an empty data folder with --config.',
  },
  RESTORE_UNFINISHED: {
    side: 'hub',
    retry: 'never',
    means: 'A restore into {folder} was ended in its midst, so a part of the store is missing.',
    next: 'Run isthmus store restore again, to its end.',
  },
  RESTORED: {
    side: 'hub',
    retry: 'never',
    means:
      'This message waited when the backup of {at} was taken that the hub was restored from; it may have arrived since.',
    next: 'Ask the receiver whether it is there: isthmus message skip {id} where it is, else isthmus message replay {id}; for all of a flow, with --flow NAME --code STORE_RESTORED and, to replay them, --in-doubt.',
    isOutcomeUnknown: true,
  },
  NEWER: {
    side: 'hub',
    retry: 'never',
    means: 'The database has schema version {found}; this program knows versions up to {known}.',
    next: 'Start the newer version of Isthmus that wrote it, or restore a backup from before the upgrade.',
  },
  LOCKED: {
    side: 'hub',
    retry: 'never',
    means: 'The data folder {folder} is in use by another process (pid {pid}).',
    next: 'Stop that process first, or give this one a data folder of its own.',
  },
  DAMAGED: {
    side: 'hub',
    retry: 'never',
    means: 'The database of the store cannot be read: {text}',
    next: 'Stop the hub, keep a copy of the data folder, and restore the last backup; check the disk.',
  },
  LOG_DAMAGED: {
    side: 'hub',
    retry: 'never',
    means:
      'The log isthmus.db-wal in {folder} was damaged: {pages} pages behind the damage cannot be read, so what was written last before the hub ended is missing.',
    next: 'Check the disk. Ask the senders for what they sent last; after a power cut it may be what nobody was told of.',
  },
  CLOSED: {
    side: 'hub',
    retry: 'soon',
    means: 'The store is closed.',
    next: 'Nothing; the work goes on after the next start.',
  },
})
