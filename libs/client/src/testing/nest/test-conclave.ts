import {
  type ConfigValue,
  formatRef,
  type NamespaceRef,
  parseRef,
  publicationRows,
  type PublishedDocument,
} from '@conclave/config-model';
import { createHash } from 'node:crypto';
import { type ConclaveClient } from '../../client.js';
import { op } from '../../kv/operations.js';
import { type FakeConclave } from '../fake-conclave.js';
import { documentOf, type TestValues, withChanges } from './test-documents.js';

/** What a test does with the store of its application: `module.get(TestConclave)`. */
export class TestConclave {
  private readonly values = new Map<string, ReadonlyMap<string, ConfigValue>>();
  private readonly releases = new Map<string, bigint>();
  private readonly publisher: ConclaveClient;

  constructor(
    /** The store, to let time pass, end leases and cut connections. */
    readonly fake: FakeConclave,
    readonly app: string,
    readonly env: string,
  ) {
    this.publisher = fake.client();
  }

  /**
   * Releases a namespace (or `app/namespace` of another app) with these values set over those of its last release; null takes a path away.
   * Resolves when refs, ConfigService and handlers have the new values; handlers with a `debounce` run when the test lets the time pass.
   *
   * @throws InvalidArgumentError (rejects) with every value that no document can hold.
   */
  publish(namespace: string, values: TestValues): Promise<void> {
    return this.publishAll({ [namespace]: values });
  }

  /** Several namespaces in one release. */
  async publishAll(changes: Readonly<Record<string, TestValues>>): Promise<void> {
    const documents = Object.entries(changes).map(([namespace, values]) => this.next(namespace, values));
    const about = { author: 'test', comment: '', createdAt: this.fake.clock.wall() };
    const rows = publicationRows(documents, about);
    await this.publisher.kv
      .txn()
      .do(...rows.map(({ key, value }) => op.put(key, value)))
      .commit();
    await this.fake.settle();
  }

  private next(namespace: string, changes: TestValues): PublishedDocument {
    const ref: NamespaceRef = namespace.includes('/') ? parseRef(namespace) : { app: this.app, namespace };
    const name = formatRef(ref);
    const values = withChanges(this.values.get(name) ?? new Map(), changes, namespace);
    const basedOn = this.releases.get(name) ?? 0n;
    this.values.set(name, values);
    this.releases.set(name, basedOn + 1n);
    const content = documentOf(values);
    const sha256 = createHash('sha256').update(content).digest('hex');
    return { id: { ...ref, env: this.env }, number: basedOn + 1n, basedOn, format: 'json', content, sha256 };
  }
}
