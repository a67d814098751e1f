/** One configuration; npm scripts choose folders. Unit tests touch nothing outside the process but loopback. */
export default {
  testEnvironment: 'node',
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2024', parser: { syntax: 'typescript' } }, module: { type: 'nodenext' }, sourceMaps: 'inline' }],
  },
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  // Most of a test's time here is waiting for sockets and processes: jest's default, one core less than there are, halves the speed on two.
  maxWorkers: 3,
  testTimeout: 20_000,
  watchman: false,
};
