import { defineErrors } from '../kernel/error.ts'

/** What the exit code of a command says. */
export const exitCodes = {
  done: 0,
  /** The command worked, and what it looked at is not in order (problems found, a link down, a page stale). */
  notInOrder: 1,
  usage: 2,
  unreachable: 3,
  /** The hub answered with an error. */
  refused: 4,
  unexpected: 70,
  /** Ended by Ctrl-C, or by SIGTERM, before its work was done (128 and the number of the signal, as shells have it). */
  interrupted: 130,
  terminated: 143,
} as const

export const cliErrors = defineErrors('CLI', {
  HUB_UNREACHABLE: {
    side: 'caller',
    retry: 'soon',
    means: 'No hub answers at {url}: {text}',
    next: 'Start it with isthmus serve, or name its address with --url or ISTHMUS_URL.',
  },
  TOKEN_FILE_MISSING: {
    side: 'caller',
    retry: 'after-change',
    means: 'The admin token cannot be read from {file}.',
    next: 'Name the file admin.token in the data folder of the hub with --token-file or ISTHMUS_TOKEN_FILE; isthmus serve makes it at its first start.',
  },
  ADDRESS_WRONG: {
    side: 'caller',
    retry: 'never',
    means: '"{url}" is no address of a hub.',
    next: 'Write it in full, for example http://127.0.0.1:8080 or https://hub.contoso.com, in --url or ISTHMUS_URL.',
  },
  PLAIN_HTTP: {
    side: 'caller',
    retry: 'never',
    means: 'The admin token would travel unencrypted to {host}.',
    next: 'Use an https address, or a tunnel (ssh -L 8080:127.0.0.1:8080) and http://127.0.0.1:8080.',
  },
  ENDPOINTS_PORT: {
    side: 'caller',
    retry: 'never',
    means: 'At {url} are the endpoints of flows, not the admin API.',
    next: 'Name the address of the admin API with --url or ISTHMUS_URL; isthmus serve shows it when it starts.',
  },
  NOT_A_HUB: {
    side: 'caller',
    retry: 'never',
    means: 'What answers at {url} is no hub ({status}).',
    next: 'Correct the address in --url or ISTHMUS_URL.',
  },
  SECRET_IN_ARGUMENTS: {
    side: 'caller',
    retry: 'never',
    means: '{field} is a secret; arguments can be seen by everybody on this machine and stay in the history.',
    next: 'Use --secret {field} (asks or reads standard input) or --secret-file {field}=<file>.',
  },
  ARGUMENT_WRONG: {
    side: 'caller',
    retry: 'never',
    means: '{text}',
    next: 'See isthmus help {command}.',
  },
  INPUT_WRONG: {
    side: 'caller',
    retry: 'never',
    means: '{file} does not hold {what}: {text}',
    next: 'Correct it at the named place and run the command again; nothing was changed.',
  },
  FILE_UNREADABLE: {
    side: 'caller',
    retry: 'never',
    means: '{file} cannot be read: {text}',
    next: 'Correct the path or the rights of the file.',
  },
  INPUT_MISSING: {
    side: 'caller',
    retry: 'never',
    means: 'Standard input holds no {what}.',
    next: 'Pipe it in, or name a file.',
  },
  FILE_NOT_MADE: {
    side: 'caller',
    retry: 'never',
    means: 'The file {file} cannot be made, so nothing was done: {text}',
    next: 'Name a file that is not there yet, in a folder where you may write.',
  },
  DEMO_FOLDER_TAKEN: {
    side: 'caller',
    retry: 'never',
    means: 'The folder {folder} holds what no demo has made, and a demo empties its folder.',
    next: 'Name a folder that is empty, or not there yet.',
  },
})
