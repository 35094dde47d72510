import { mkdirSync, statSync } from 'node:fs'
import module from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

// An older one would stop at the first line of TypeScript in words that help nobody; argon2 came with 24.7.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 24 || (major === 24 && minor < 7)) {
  const own = fileURLToPath(new URL('../../node_modules/.bin', import.meta.url))
  process.stderr.write(`Isthmus needs Node 24.7 or later; this is ${process.version}.
Next: Install it, or take the one that comes with the dependencies: export PATH="${own}:$PATH"
`)
  process.exit(2)
}

// Sources are TypeScript and stripped of their types at each start; remembering the result halves the time to start.
// This file is plain JavaScript, as those that import it are, so that the compiler is not even loaded when every other one
// is remembered.
const folder = ownCacheFolder()
if (folder) module.enableCompileCache(folder)

/**
 * A folder that nobody else can write to: what is remembered there is run as it is. Node's own choice lies in the folder for
 * temporary files, where anybody on the machine may have made it first. NODE_COMPILE_CACHE goes before this one.
 */
function ownCacheFolder() {
  const { CACHE_DIRECTORY, XDG_CACHE_HOME } = process.env
  try {
    // systemd names those that a unit asked for, apart by colons.
    const path = CACHE_DIRECTORY?.split(':')[0] || join(XDG_CACHE_HOME || join(homedir(), '.cache'), 'isthmus')
    mkdirSync(path, { recursive: true, mode: 0o700 })
    const { uid, mode } = statSync(path)
    const isOwn = process.getuid === undefined || (uid === process.getuid() && (mode & 0o022) === 0)
    return isOwn ? path : undefined
  } catch {
    // Without a home, or on a disk that is full or read only, each start takes half a second longer.
    return undefined
  }
}
