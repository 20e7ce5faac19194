import { Injectable, type LoggerService } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { IsInt, Max } from 'class-validator';
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { FakeCenter } from '../../config/testing/fake-center.js';
import { ConfigClass } from '../config/decorators.js';
import { OnConfigChange } from '../config/on-config-change.js';
import { ConclaveModule } from '../module/conclave.module.js';
import { type ConclaveModuleOptions } from '../module/options.js';
import { connectedTo } from '../testing/connected-to.js';
import { ConclaveMetrics } from './conclave-metrics.js';

@ConfigClass({ namespace: 'billing' })
class Billing {
  @IsInt() @Max(10) max = 0;
}

@Injectable()
class Worker {
  @OnConfigChange(Billing) onChange(): void {
    throw new Error('no');
  }
}

const silent: LoggerService = { log: () => undefined, warn: () => undefined, error: () => undefined };

async function application(center: FakeCenter, options: Partial<ConclaveModuleOptions>) {
  const imports = [
    ConclaveModule.forRoot(connectedTo(center, options)),
    ConclaveModule.forFeature([Billing]),
  ];
  const testing = Test.createTestingModule({ imports, providers: [Worker] }).setLogger(silent);
  return (await testing.compile()).init();
}

describe('metrics', () => {
  it('stand in the registry that the option names, and are those of the moment', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'max: 1' } });
    const registry = new Registry();
    const app = await application(center, { metrics: { registry } });
    const metrics = app.get(ConclaveMetrics);
    expect(metrics.registry).toBe(registry);
    expect(metrics.contentType).toContain('text/plain');
    const first = await metrics.text();
    expect(first).toContain('conclave_connected{connection="default"} 1');
    expect(first).toContain('conclave_config_age_seconds{connection="default",namespace="billing"} 0');
    expect(first).toContain('conclave_config_refused{connection="default",namespace="billing"} 0');
    // The metrics of the client itself.
    expect(first).toContain('# TYPE conclave_client_calls_total counter');

    center.publish({ billing: { content: 'max: 2' } });
    await center.clock.settle();
    center.publish({ billing: { content: 'max: 11' } });
    center.store.partition();
    center.store.cutStreams();
    await center.clock.advance(10_000);
    const second = await metrics.text();
    expect(second).toContain(
      'conclave_config_handler_calls_total{handler="Worker.onChange",outcome="failed"} 1',
    );
    expect(second).toMatch(/conclave_config_age_seconds\{connection="default",namespace="billing"\} (9|10)/);
    center.store.heal();
    await center.clock.advance(10_000);
    expect(await metrics.text()).toContain(
      'conclave_config_refused{connection="default",namespace="billing"} 1',
    );
    await app.close();
    expect(await metrics.text()).not.toContain('conclave_connected{');
  });

  it('applications that share a registry are told together', async () => {
    const center = new FakeCenter();
    const registry = new Registry();
    const one = await application(center, { metrics: { registry } });
    const two = await application(center, { metrics: { registry }, name: 'default' });
    expect(await registry.metrics()).toContain('conclave_connected{connection="default"} 2');
    await one.close();
    expect(await registry.metrics()).toContain('conclave_connected{connection="default"} 1');
    await two.close();
  });

  it('are nowhere without the option', async () => {
    const app = await application(new FakeCenter(), {});
    const registry = app.get(ConclaveMetrics).registry;
    expect(registry.getSingleMetric('conclave_connected')).toBeUndefined();
    await app.close();
  });
});
