import { testLevel } from './level.ts'

testLevel('repeatable read')
