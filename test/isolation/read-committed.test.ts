import { testLevel } from './level.ts'

testLevel('read committed')
