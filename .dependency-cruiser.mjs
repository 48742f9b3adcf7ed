// The import graph of ARCHITECTURE.md as rules. Tests, and what they share in
// `*-for-tests.ts`, are held to the cycle rule alone: they may cross packages.
const TEST = '(\\.test|-for-tests)\\.ts$'
const PACKAGES = ['migrations-registry', 'sdk', 'server']

/** A workspace seen as a folder, and as the package that node_modules links to it. */
const workspace = (name) => `^(${name}/|node_modules/@switchback/${name}(/|$))`

/** `from` may import the workspaces in `allowed` and no other. */
const onlyImports = (from, allowed) => ({
  name: `${from}-imports-only-${allowed.join('-and-') || 'itself'}`,
  comment: 'Workspaces form a DAG: migrations-registry <- sdk, migrations-registry <- server.',
  severity: 'error',
  from: { path: `^${from}/src/`, pathNot: TEST },
  to: {
    path: [...PACKAGES, 'console', 'test', 'bench']
      .filter((name) => name !== from && !allowed.includes(name))
      .map(workspace),
  },
})

export default {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'A cycle has no order in which it can be understood, or loaded.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    onlyImports('migrations-registry', []),
    onlyImports('sdk', ['migrations-registry']),
    onlyImports('server', ['migrations-registry']),
    {
      name: 'the-domain-does-no-io',
      comment: 'migrations-registry takes data and returns data, so that the same rules run everywhere.',
      severity: 'error',
      from: { path: '^migrations-registry/src/', pathNot: TEST },
      to: {
        path: '^(node:)?(fs|net|tls|dgram|dns|http|http2|https|child_process|cluster|worker_threads|os|process|readline|repl|tty|vm|inspector|stream|timers)(/|$)',
      },
    },
    {
      name: 'the-domain-knows-few-packages',
      comment: 'yaml and zod read definitions; drivers and sockets have no place there.',
      severity: 'error',
      from: { path: '^migrations-registry/src/', pathNot: TEST },
      to: { path: '^node_modules/', pathNot: '^node_modules/(yaml|zod)/' },
    },
    {
      name: 'nothing-imports-the-composition-root',
      comment: 'main.ts wires the features; a feature that imports it has turned the graph upside down.',
      severity: 'error',
      from: { pathNot: '^server/src/main\\.ts$' },
      to: { path: '^server/src/main\\.ts$' },
    },
    {
      name: 'no-test-code-in-production',
      severity: 'error',
      from: { path: '^[^/]+/src/', pathNot: TEST },
      to: { path: [TEST, '^test/', '^node_modules/(@switchback/test|vitest|supertest|fast-check)/'] },
    },
    {
      name: 'no-unresolvable',
      comment: 'An import that cannot be found escapes every other rule.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-undeclared-packages',
      severity: 'error',
      from: { path: '^[^/]+/src/', pathNot: TEST },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
  ],
  options: {
    // TypeScript 7 offers no programmatic API; swc parses the same syntax, but as it is called here no JSX
    // and without telling type imports apart: the console's rule is in biome.json.
    parser: 'swc',
    exclude: { path: '^console/' },
    tsPreCompilationDeps: true,
    combinedDependencies: true,
    // What is built has been checked as source.
    doNotFollow: { path: '(^|/)(node_modules|dist)/' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.tsx', '.js', '.mjs', '.json'],
    },
  },
}
