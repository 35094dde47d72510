import { loadAll } from '../flow/late-declarations.ts'
import { lateReceivers, lateSenders } from './late-adapters.ts'

// For who looks at all of them; a hub loads those that its flows name.
export const builtInSenders = await loadAll(lateSenders)
export const builtInReceivers = await loadAll(lateReceivers)
