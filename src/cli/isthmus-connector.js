#!/usr/bin/env node
import './node-24.js'

const { runProgram } = await import('./connector-agent/program.ts')
await runProgram()
