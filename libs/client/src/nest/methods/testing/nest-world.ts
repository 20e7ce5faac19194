import { type ModuleMetadata } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import { FakeWorld } from '../../../testing/fake-client.js';
import { ConclaveModule } from '../../module/conclave.module.js';
import { type ConclaveModuleOptions } from '../../module/options.js';

/** What was logged, in lines of `level message`. */
export class LogLines {
  readonly lines: string[] = [];
  readonly log = (): void => undefined;
  readonly warn = (message: unknown): void => void this.lines.push(`warn ${String(message)}`);
  readonly error = (message: unknown): void => void this.lines.push(`error ${String(message)}`);

  /** True when a line has all of these parts. */
  has(...parts: readonly string[]): boolean {
    return this.lines.some((line) => parts.every((part) => line.includes(part)));
  }
}

/** Nest applications on one store in memory, on a clock that only the test moves. */
export class NestWorld extends FakeWorld {
  readonly logs = new LogLines();
  private readonly started: TestingModule[] = [];

  /** A module with a connection of its own, not yet started. */
  async compile(
    metadata: ModuleMetadata,
    options: Partial<ConclaveModuleOptions> = {},
  ): Promise<TestingModule> {
    const { imports = [], ...rest } = metadata;
    const connection = ConclaveModule.forRoot({
      endpoints: ['memory'],
      clock: this.clock,
      clientFactory: () => this.client(),
      ...options,
    });
    const module = await Test.createTestingModule({ imports: [connection, ...imports], ...rest })
      .setLogger(this.logs)
      .compile();
    module.useLogger(this.logs);
    this.started.push(module);
    return module;
  }

  /** An application as if in a process of its own. */
  async start(
    metadata: ModuleMetadata,
    options: Partial<ConclaveModuleOptions> = {},
  ): Promise<TestingModule> {
    const module = await this.compile(metadata, options);
    await module.init();
    await this.clock.settle();
    return module;
  }

  /** Ends an application, moving the clock as far as that takes. */
  async close(application: { close(): Promise<unknown> }): Promise<void> {
    let isClosed = false;
    const closed = application.close().finally(() => (isClosed = true));
    for (let round = 0; round < 40 && !isClosed; round += 1) await this.clock.advance(500);
    await closed;
  }

  async closeAll(): Promise<void> {
    for (const module of this.started.splice(0).reverse()) await this.close(module);
  }
}
