export { type EmbeddedMember, type EmbeddedOptions, startEmbedded } from './embedded-member.js';
export { type FakeClientOptions, type FakeConclave, fakeConclave } from './fake-conclave.js';
export { type PartitionDirection } from './fake-store.js';
