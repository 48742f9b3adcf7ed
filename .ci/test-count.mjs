// Prints "N passed, N failed[, N skipped]" from the result that Vitest's JSON reporter has written.
import { readFileSync } from 'node:fs'

const file = process.argv[2] ?? '.cache/vitest.json'

function count() {
  let result
  try {
    result = JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    // No result at all: the run broke down before its end.
    return { passed: 0, failed: 1, skipped: 0 }
  }
  // A file that cannot be loaded, or whose hooks fail, has no failed test to be counted.
  const broken = result.testResults.filter(
    (suite) => suite.status === 'failed' && !suite.assertionResults.some((test) => test.status === 'failed'),
  ).length
  const failed = result.numFailedTests + broken
  return {
    passed: result.numPassedTests,
    // An unhandled error fails the run without failing a test or a file.
    failed: failed === 0 && !result.success ? 1 : failed,
    skipped: result.numPendingTests + result.numTodoTests,
  }
}

const { passed, failed, skipped } = count()
process.stdout.write(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`)
