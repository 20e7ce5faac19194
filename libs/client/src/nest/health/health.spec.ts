import { Controller, Get } from '@nestjs/common';
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { Test } from '@nestjs/testing';
import { IsInt, Max } from 'class-validator';
import { describe, expect, it } from 'vitest';
import { type ConnectionState } from '../../connection/connection-state.js';
import { type NamespaceStatus } from '../../config/document-view.js';
import { FakeCenter } from '../../config/testing/fake-center.js';
import { UnavailableError } from '../../errors.js';
import { ConfigClass } from '../config/decorators.js';
import { ConclaveModule } from '../module/conclave.module.js';
import { connectedTo } from '../testing/connected-to.js';
import { type HealthFacts } from './health-facts.js';
import { ConclaveHealthIndicator } from './health-indicator.js';
import { judgeHealth } from './judge-health.js';
import { terminusResult } from './terminus-result.js';

@ConfigClass({ namespace: 'billing' })
class Billing {
  @IsInt() @Max(10) max = 0;
}

@ConfigClass({ keys: 'cfg/' })
class Plain {
  @IsInt() size = 1;
}

async function application(indicatorOptions = {}) {
  const center = new FakeCenter();
  center.publish({ billing: { content: 'max: 1' } });
  @Controller()
  class Health {
    constructor(
      private readonly health: HealthCheckService,
      private readonly conclave: ConclaveHealthIndicator,
    ) {}
    @Get() @HealthCheck() check() {
      return this.health.check([() => this.conclave.isHealthy('conclave', indicatorOptions)]);
    }
  }
  const imports = [
    TerminusModule.forRoot({ logger: false }),
    ConclaveModule.forRoot(connectedTo(center)),
    ConclaveModule.forFeature([Billing, Plain]),
  ];
  const app = await Test.createTestingModule({ imports, controllers: [Health] }).compile();
  await app.init();
  return { center, app, check: () => app.get(Health).check() };
}

describe('the health indicator, in @nestjs/terminus', () => {
  it('is up with live configuration', async () => {
    const { app, check } = await application();
    expect(await check()).toMatchObject({
      status: 'ok',
      details: {
        conclave: {
          status: 'up',
          connection: 'connected',
          endpoint: 'memory',
          config: { billing: 'applied 1, live', 'cfg/': 'applied, live' },
        },
      },
    });
    await app.close();
  });

  it('is degraded while the store is away, and down after maxStale', async () => {
    const { app, center, check } = await application({ maxStale: '30s' });
    center.store.partition();
    center.store.cutStreams();
    await center.clock.advance(20_000);
    const stale = await check();
    expect(stale).toMatchObject({ status: 'degraded', details: { conclave: { status: 'degraded' } } });
    expect(JSON.stringify(stale)).toContain("the configuration 'billing' is stale since");
    await center.clock.advance(30_000);
    await expect(check()).rejects.toMatchObject({ status: 503 });
    center.store.heal();
    await center.clock.advance(20_000);
    expect(await check()).toMatchObject({ status: 'ok' });
    await app.close();
  });

  it('is degraded while the newest release is refused', async () => {
    const { app, center, check } = await application();
    center.publish({ billing: { content: 'max: 11' } });
    await center.clock.settle();
    expect(await check()).toMatchObject({
      status: 'degraded',
      details: {
        conclave: {
          reasons: [expect.stringContaining('Billing: max: must not be greater than 10, is 11') as unknown],
        },
      },
    });
    await app.close();
  });

  it('is down when the client is closed', async () => {
    const { app } = await application();
    await app.close();
    const indicator = app.get(ConclaveHealthIndicator);
    expect(judgeHealth(factsWith({ connection: { kind: 'closed' } }), 1)).toMatchObject({ status: 'down' });
    await expect(indicator.isHealthy('x', { name: 'other' })).rejects.toThrow("no connection 'other'");
    await expect(indicator.isHealthy('x', { maxStale: 'long' as '1s' })).rejects.toThrow('maxStale: long');
  });
});

const connected: ConnectionState = {
  kind: 'connected',
  endpoint: 'a:1',
  clusterId: 1n,
  revision: 1n,
  raftTerm: 1n,
};
const error = new UnavailableError('gone');

function factsWith(facts: Partial<HealthFacts>): HealthFacts {
  return { connection: connected, config: new Map(), overdueLeaders: [], now: 100_000, ...facts };
}

function configWith(status: Partial<NamespaceStatus>): HealthFacts {
  const whole: NamespaceStatus = { release: '7', state: 'applied', freshness: { kind: 'live' }, ...status };
  return factsWith({ config: new Map([['billing', whole]]) });
}

describe('the judgement', () => {
  it.each<[string, HealthFacts, 'up' | 'degraded' | 'down']>([
    ['connected, without configuration', factsWith({}), 'up'],
    ['nothing released', configWith({ state: 'missing', release: '' }), 'up'],
    ['pinned by an operator', configWith({ freshness: { kind: 'pinned', source: '/p' } }), 'up'],
    ['refused', configWith({ state: 'rejected', error: 'max is 11' }), 'degraded'],
    ['cached', configWith({ freshness: { kind: 'cached', savedAt: 95_000 } }), 'degraded'],
    ['cached too long ago', configWith({ freshness: { kind: 'cached', savedAt: 80_000 } }), 'down'],
    ['stale', configWith({ freshness: { kind: 'stale', since: 95_000, error } }), 'degraded'],
    ['stale too long', configWith({ freshness: { kind: 'stale', since: 80_000, error } }), 'down'],
    ['never loaded', configWith({ state: 'loading', release: '' }), 'down'],
    [
      'never reached',
      factsWith({ connection: { kind: 'connecting', attempt: 2, lastError: error } }),
      'down',
    ],
    [
      'never reached, with a cache',
      { ...configWith({ freshness: { kind: 'cached', savedAt: 95_000 } }), connection: { kind: 'idle' } },
      'degraded',
    ],
    [
      'cut off',
      factsWith({ connection: { kind: 'suspended', since: 95_000, lastError: error } }),
      'degraded',
    ],
    [
      'cut off too long',
      factsWith({ connection: { kind: 'suspended', since: 80_000, lastError: error } }),
      'down',
    ],
    ['a leader past its deadline', factsWith({ overdueLeaders: ['billing-worker'] }), 'down'],
  ])('%s', (_, facts, status) => {
    const judged = judgeHealth(facts, 10_000);
    expect(judged.status).toBe(status);
    expect(judged.details.reasons === undefined).toBe(status === 'up');
  });
});

describe('what older versions of @nestjs/terminus are told', () => {
  // As those versions are: 10 has the error only, 11 has both, neither knows `degraded`.
  class HealthCheckError extends Error {
    constructor(
      message: string,
      readonly causes: unknown,
    ) {
      super(message);
    }
  }
  class HealthIndicatorService {
    check = () => ({ up: () => ({}), down: () => ({}) });
  }
  const degraded = judgeHealth(configWith({ state: 'rejected', error: 'no' }), 1);
  const down = judgeHealth(configWith({ state: 'loading' }), 1);

  it.each([[{ HealthCheckError }], [{ HealthCheckError, HealthIndicatorService }]])(
    'degraded is up, with a mark',
    (terminus) => {
      expect(terminusResult('c', degraded, terminus)).toMatchObject({ c: { status: 'up', degraded: true } });
    },
  );

  it('down is thrown for 10, and returned for 11', () => {
    const told = { c: { status: 'down', reasons: ["the configuration 'billing' was never loaded"] } };
    expect(() => terminusResult('c', down, { HealthCheckError })).toThrow(
      "c is down: the configuration 'billing' was never loaded",
    );
    expect(terminusResult('c', down, { HealthCheckError, HealthIndicatorService })).toMatchObject(told);
  });
});
