import { Controller, Get, Injectable, Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { Test } from '@nestjs/testing';
import { IsInt, IsString, Max, Min, ValidateNested } from 'class-validator';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { FakeCenter } from '../config/testing/fake-center.js';
import { type ConfigChange, type ConfigRef, type DistributedMutex } from '../index.js';
import { applicationMetrics } from './metrics/application-metrics.js';
import {
  ConclaveHealthIndicator,
  ConclaveMetrics,
  ConclaveModule,
  configCenterLoader,
  ConfigClass,
  ConfigKey,
  InjectConfig,
  InjectLock,
  OnConfigChange,
  Secret,
} from './index.js';
import { connectedTo } from './testing/connected-to.js';

// What follows stands in docs/nest.md, word for word.

class Limits {
  @IsInt() @Max(1_000) perMinute = 60;
}

@ConfigClass({ namespace: 'billing' })
class BillingConfig {
  @ConfigKey('retry.max', { default: 3, env: 'BILLING_RETRY_MAX' })
  @IsInt()
  @Min(0)
  @Max(10)
  retryMax!: number;
  @ConfigKey('db.password') @Secret() @IsString() dbPassword!: string;
  @IsString() currency = 'EUR';
  @ValidateNested() limits: Limits = new Limits();
}

@Injectable()
class Billing {
  applied: string[] = [];

  constructor(
    @InjectConfig(BillingConfig) private readonly config: ConfigRef<BillingConfig>,
    @InjectConfig(BillingConfig, { as: 'proxy' }) private readonly newest: BillingConfig,
    @InjectLock('invoices') private readonly lock: DistributedMutex,
  ) {}

  async collect(): Promise<string> {
    const { retryMax, currency } = this.config.value; // of one release, also after an await
    await this.lock.run(async () => this.applied.push(`up to ${retryMax} tries`));
    return `${currency}, at most ${this.newest.limits.perMinute} a minute`;
  }

  @OnConfigChange(BillingConfig, { keys: ['retryMax'], debounce: '200ms' })
  async retriesChanged({ previous, current }: ConfigChange<BillingConfig>): Promise<void> {
    this.applied.push(`${previous.retryMax} -> ${current.retryMax}`);
  }
}

@Module({
  imports: [ConclaveModule.forFeature([BillingConfig], { locks: ['invoices'] })],
  providers: [Billing],
  exports: [Billing],
})
class BillingModule {}

@Module({
  imports: [
    ConclaveModule.forRoot({
      endpoints: ['127.0.0.1:2379'],
      isGlobal: true,
      app: 'shop',
      env: 'prod',
      labels: { zone: 'a' },
    }),
    BillingModule,
  ],
})
class AppModule {}

@Injectable()
class Mailer {
  constructor(private readonly config: ConfigService) {}

  sender(): string {
    return this.config.getOrThrow<string>('mail.from'); // of the newest release, else of the application itself
  }
}

const load = [
  configCenterLoader({ endpoints: ['127.0.0.1:2379'], app: 'shop', env: 'prod', namespaces: ['mail'] }),
];
const configModule = ConfigModule.forRoot({ isGlobal: true, load });

@Controller('health')
class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly conclave: ConclaveHealthIndicator,
    private readonly metrics: ConclaveMetrics,
  ) {}

  @Get()
  @HealthCheck()
  check() {
    return this.health.check([() => this.conclave.isHealthy('conclave', { maxStale: '10m' })]);
  }

  @Get('metrics')
  scrape(): Promise<string> {
    return this.metrics.text();
  }
}

// End of what stands there.

const page = readFileSync(fileURLToPath(new URL('../../../../docs/nest.md', import.meta.url)), 'utf8');
const own = readFileSync(fileURLToPath(new URL('../../src/nest/nest-page.spec.ts', import.meta.url)), 'utf8');
const words = (text: string): string => text.replace(/\s+/g, ' ').trim();

describe('docs/nest.md', () => {
  it('has the examples of this file', () => {
    const examples = [...page.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1] ?? '');
    expect(examples).toHaveLength(5);
    const parts = examples.flatMap((example) => example.split(/\n\n(?=\S)/));
    for (const part of parts) expect(words(own)).toContain(words(part));
    expect(AppModule).toBeDefined();
    expect(configModule).toBeInstanceOf(Promise);
  });

  it('names every metric', () => {
    for (const { name, labels } of applicationMetrics) {
      expect(page).toContain(`| \`${name}\` | ${labels.join(', ')} |`);
    }
  });

  it('has examples that do what it says', async () => {
    const center = new FakeCenter();
    const content =
      'retry: { max: 5 }\ndb: { password: p }\nlimits: { perMinute: 7 }\nmail: { from: a@shop }';
    center.publish({ billing: { content } });
    const registry = new Registry();
    const imports = [
      ConclaveModule.forRoot(connectedTo(center, { isGlobal: true, metrics: { registry } })),
      BillingModule,
      TerminusModule.forRoot({ logger: false }),
      ConfigModule.forRoot({ isGlobal: true, ignoreEnvFile: true }),
    ];
    const testing = Test.createTestingModule({
      imports,
      providers: [Mailer],
      controllers: [HealthController],
    });
    const app = await (await testing.compile()).init();
    const billing = app.get(Billing);
    expect(await billing.collect()).toBe('EUR, at most 7 a minute');
    expect(app.get(Mailer).sender()).toBe('a@shop');
    expect(await app.get(HealthController).check()).toMatchObject({ status: 'ok' });
    expect(await app.get(HealthController).scrape()).toContain('conclave_connected{connection="default"} 1');
    center.publish({ billing: { content: content.replace('max: 5', 'max: 6') } });
    await center.clock.advance(200);
    expect(billing.applied).toEqual(['up to 5 tries', '5 -> 6']);
    center.publish({ billing: { content: content.replace('max: 5', 'max: 99\ncurrency: 5') } });
    await center.clock.advance(200);
    expect(billing.applied).toHaveLength(2);
    await app.close();
  });

  it('tells the message of a start that is refused as it is', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'retry: { max: 99 }\ncurrency: 5\ndb: { password: p }' } });
    const [, message = ''] = /`(the configuration 'billing' is refused: .*)`/.exec(page) ?? [];
    await expect(center.client().config.ref(BillingConfig)).rejects.toThrow(message);
    expect(message).not.toBe('');
  });
});
