// Prints "N passed, N failed[, N skipped]" from the result that Vitest's JSON reporter has written, and
// above it what failed: a log that keeps its end alone then still tells which test it was.
import { readFileSync } from 'node:fs'
import { relative } from 'node:path'

const file = process.argv[2] ?? '.cache/vitest.json'
/** So many failures are named, with so many lines of each message. */
const NAMED = 20
const LINES = 12

function read() {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    // No result at all: the run broke down before its end.
    return undefined
  }
}

const failedTests = (suite) => suite.assertionResults.filter((test) => test.status === 'failed')
// A file that cannot be loaded, or whose hooks fail, has no failed test to be counted.
const broken = (suite) => suite.status === 'failed' && failedTests(suite).length === 0

function count(result) {
  if (result === undefined) {
    return { passed: 0, failed: 1, skipped: 0 }
  }
  const failed = result.numFailedTests + result.testResults.filter(broken).length
  return {
    passed: result.numPassedTests,
    // An unhandled error fails the run without failing a test or a file.
    failed: failed === 0 && !result.success ? 1 : failed,
    skipped: result.numPendingTests + result.numTodoTests,
  }
}

const inShort = (message) => message.split('\n').slice(0, LINES).join('\n')

function* failures(result) {
  for (const suite of result?.testResults ?? []) {
    const where = relative(process.cwd(), suite.name)
    if (broken(suite)) {
      yield `${where}\n${inShort(suite.message ?? '')}`
    }
    for (const test of failedTests(suite)) {
      yield `${where} > ${test.fullName}\n${inShort(test.failureMessages.join('\n'))}`
    }
  }
}

const result = read()
for (const failure of [...failures(result)].slice(0, NAMED)) {
  process.stdout.write(`failed: ${failure}\n\n`)
}
const { passed, failed, skipped } = count(result)
process.stdout.write(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`)
