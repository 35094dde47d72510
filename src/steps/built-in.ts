import { loadAll } from '../flow/late-declarations.ts'
import { lateSteps } from './late-steps.ts'

type BuiltInStep = Awaited<ReturnType<(typeof lateSteps)[keyof typeof lateSteps]>>

// For who looks at all of them; a hub loads those that its flows name.
export const builtInSteps = await loadAll<BuiltInStep>(lateSteps)
