import module from 'node:module'
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
module.enableCompileCache()
