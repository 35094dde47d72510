import { defineErrors, HubError } from '../kernel/error.ts'
import { storeErrors } from '../store/errors.ts'

export const startErrors = defineErrors('START', {
  ADDRESS_TAKEN: {
    side: 'hub',
    retry: 'after-change',
    means: 'Another program listens at {address} already.',
    next: 'Stop it (it may be a hub that still runs), or give this hub other ports in isthmus.yaml: admin.port, endpoints.port, connectors.port.',
  },
  ADDRESS_REFUSED: {
    side: 'hub',
    retry: 'after-change',
    means: 'The hub cannot listen at {address}: {text}',
    next: 'Correct host and port under admin, endpoints or connectors in isthmus.yaml; on some systems ports below 1024 need a right of their own.',
  },
  FILE_REFUSED: {
    side: 'hub',
    retry: 'after-change',
    means: 'The hub cannot work with {path}: {text}',
    next: 'Let the user that the hub runs as own the data folder and all in it, or name another folder under data in isthmus.yaml.',
  },
})

/** What kept a hub from starting, where the operating system refused an address, a file or a folder; anything else as it is. */
export function asStartError(thrown: unknown): unknown {
  // A database that cannot be reached is no address of ours.
  if (thrown instanceof HubError && thrown.code === storeErrors.UNREACHABLE.code) return thrown
  const cause = thrown instanceof HubError ? thrown.cause : thrown
  if (!isSystemError(cause)) return thrown
  const { code, syscall, message: text } = cause
  if (syscall === 'listen' || syscall === 'bind' || syscall === 'getaddrinfo') {
    const address = cause.port === undefined ? `${cause.hostname}` : `${cause.address}:${cause.port}`
    const error = code === 'EADDRINUSE' ? startErrors.ADDRESS_TAKEN : startErrors.ADDRESS_REFUSED
    return error({ address, text }, { cause: thrown })
  }
  const isRefused = ['EACCES', 'EPERM', 'EEXIST', 'ENOTDIR', 'EISDIR', 'EROFS'].includes(code)
  return isRefused && cause.path !== undefined
    ? startErrors.FILE_REFUSED({ path: cause.path, text }, { cause: thrown })
    : thrown
}

interface SystemError extends Error {
  readonly code: string
  readonly syscall: string
  readonly path?: string
  readonly address?: string
  readonly port?: number
  readonly hostname?: string
}

function isSystemError(thrown: unknown): thrown is SystemError {
  return thrown instanceof Error && 'code' in thrown && 'syscall' in thrown
}
