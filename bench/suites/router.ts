import type { SuiteResult } from '../main.ts'

export const run = async (): Promise<SuiteResult> => ({ suite: 'router', ratios: {} })
