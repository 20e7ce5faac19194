import { type DynamicModule, Module } from '@nestjs/common';
import { ConclaveModule } from '../../nest/module/conclave.module.js';
import { type FakeConclave, fakeConclave } from '../fake-conclave.js';
import { TestConclave } from './test-conclave.js';
import { type TestValues } from './test-documents.js';

export interface TestConclaveOptions {
  /** The configuration at the start: values by namespace (or `app/namespace` of another app) and dotted path. */
  readonly config?: Readonly<Record<string, TestValues>>;
  /** Default `test`. */
  readonly app?: string;
  /** Default `dev`. */
  readonly env?: string;
  /** Of the connection that it stands in for; default `default`. */
  readonly name?: string;
  /** A store to share with other applications of the test; default: one of its own. */
  readonly fake?: FakeConclave;
}

/**
 * Stands in for `ConclaveModule.forRoot` in unit tests, without a server: config classes, ConfigService, locks and elections work on a
 * store in memory.
 *
 * ```ts
 * const module = await Test.createTestingModule({
 *   imports: [TestConclaveModule.with({ config: { billing: { 'retry.max': 5 } } }), BillingModule],
 * }).compile();
 * await module.get(TestConclave).publish('billing', { 'retry.max': 7 });
 * ```
 */
@Module({})
export class TestConclaveModule {
  static with(options: TestConclaveOptions = {}): DynamicModule {
    const { config = {}, app = 'test', env = 'dev', name, fake = fakeConclave() } = options;
    const control = new TestConclave(fake, app, env);
    const connection = ConclaveModule.forRootAsync({
      ...(name === undefined ? {} : { name }),
      isGlobal: true,
      useFactory: async () => {
        if (Object.keys(config).length > 0) await control.publishAll(config);
        return { ...fake.connection, app, env, configService: { namespaces: Object.keys(config) } };
      },
    });
    return {
      module: TestConclaveModule,
      global: true,
      imports: [connection],
      providers: [{ provide: TestConclave, useValue: control }],
      exports: [TestConclave],
    };
  }
}
