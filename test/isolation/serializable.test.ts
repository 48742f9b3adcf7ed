import { testLevel } from './level.ts'

testLevel('serializable')
