import { type LoggerService } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { FakeCenter } from '../../config/testing/fake-center.js';
import { connectedTo } from '../testing/connected-to.js';
import { ConclaveModule } from './conclave.module.js';

describe('an application without shutdown hooks', () => {
  const warnings: unknown[] = [];
  const logger: LoggerService = {
    log: () => undefined,
    error: () => undefined,
    warn: (message: unknown) => warnings.push(message),
  };
  const others = process.listeners('SIGTERM');

  afterEach(() => {
    warnings.length = 0;
    for (const listener of others) process.on('SIGTERM', listener);
  });

  const start = async (hooks: boolean) => {
    process.removeAllListeners('SIGTERM');
    const center = new FakeCenter();
    const testing = Test.createTestingModule({ imports: [ConclaveModule.forRoot(connectedTo(center))] });
    const application = await testing.setLogger(logger).compile();
    await application.init();
    // As applications do that are initialized by NestFactory.createApplicationContext.
    if (hooks) application.enableShutdownHooks();
    return { application, center };
  };

  it('is warned, some time after its start', async () => {
    const { application, center } = await start(false);
    await center.clock.advance(4_999);
    expect(warnings).toEqual([]);
    await center.clock.advance(1);
    expect(warnings).toEqual([expect.stringContaining('Call app.enableShutdownHooks() in main.ts')]);
    await application.close();
  });

  it('is not, when it has them, or has ended before', async () => {
    const withHooks = await start(true);
    await withHooks.center.clock.advance(10_000);
    await withHooks.application.close();
    const closed = await start(false);
    await closed.application.close();
    await closed.center.clock.advance(10_000);
    expect(warnings).toEqual([]);
  });
});
