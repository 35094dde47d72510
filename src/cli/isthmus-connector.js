#!/usr/bin/env node
import { enableCompileCache } from 'node:module'

// Plain JavaScript for the same reason as isthmus.js: the compiler is not even loaded when every other file is remembered.
enableCompileCache()
const { runProgram } = await import('./connector-agent/program.ts')
await runProgram()
