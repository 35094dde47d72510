#!/usr/bin/env node
import './node-24.js'

const { runProgram } = await import('./program.ts')
await runProgram()
