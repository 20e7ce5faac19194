export { TestConclave } from './test-conclave.js';
export { type TestConclaveOptions, TestConclaveModule } from './test-conclave.module.js';
export { type TestValues } from './test-documents.js';
