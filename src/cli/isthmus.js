#!/usr/bin/env node
import { enableCompileCache } from 'node:module'

// Sources are TypeScript and stripped of their types at each start; remembering the result halves the time to start.
// This file is plain JavaScript, so that the compiler is not even loaded when every other one is remembered.
enableCompileCache()
const { runProgram } = await import('./program.ts')
await runProgram()
