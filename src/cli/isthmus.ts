#!/usr/bin/env node
import { enableCompileCache } from 'node:module'

// Sources are TypeScript and stripped of their types at each start; remembering the result halves the time to start.
enableCompileCache()
const { runProgram } = await import('./program.ts')
await runProgram()
