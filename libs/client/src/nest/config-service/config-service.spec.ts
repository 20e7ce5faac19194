import { Injectable, type LoggerService, Module, type Type } from '@nestjs/common';
import { ConfigModule, ConfigService, registerAs } from '@nestjs/config';
import { Test } from '@nestjs/testing';
import { IsInt, IsOptional, IsString, Max } from 'class-validator';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeCenter } from '../../config/testing/fake-center.js';
import { ConfigClass, ConfigKey } from '../config/decorators.js';
import { ConclaveModule } from '../module/conclave.module.js';
import { InjectConfig } from '../module/inject.js';
import { type ConclaveModuleOptions } from '../module/options.js';
import { type ConfigRef } from '../../config/config-ref.js';
import { connectedTo } from '../testing/connected-to.js';
import { configCenterLoader } from './config-center-loader.js';

@ConfigClass({ namespace: 'billing' })
class Billing {
  @ConfigKey('retry.max') @IsInt() @Max(10) retryMax = 3;
  @ConfigKey('db.host', { env: 'TEST_DB_HOST' }) @IsString() host = 'none';
  @ConfigKey('app.title') @IsString() @IsOptional() title?: string;
}

@Injectable()
class Reader {
  constructor(readonly config: ConfigService) {}
}

interface Change {
  readonly path: PropertyKey;
  readonly oldValue: unknown;
  readonly newValue: unknown;
}

const content = 'retry: { max: 5 }\ndb: { host: stored, port: 1 }';
const load = [registerAs('own', () => ({ level: 'info' })), () => ({ retry: { max: 1, wait: 9 } })];
const warnings: unknown[] = [];
const logger: LoggerService = {
  log: () => undefined,
  error: () => undefined,
  warn: (message: unknown) => warnings.push(message),
};

describe('ConfigService', () => {
  let center: FakeCenter;
  let environment: NodeJS.ProcessEnv;

  beforeEach(() => {
    center = new FakeCenter();
    center.publish({ billing: { content } });
    warnings.length = 0;
    environment = { ...process.env };
  });
  const applications: { close(): Promise<void> }[] = [];
  afterEach(async () => {
    process.env = environment;
    for (const application of applications.splice(0)) await application.close();
  });

  const forRoot = (isGlobal = true) => ConfigModule.forRoot({ isGlobal, ignoreEnvFile: true, load });
  const ours = (options: Partial<ConclaveModuleOptions> = {}) => [
    ConclaveModule.forRoot(connectedTo(center, options)),
    ConclaveModule.forFeature([Billing]),
  ];
  type Imports = Parameters<typeof Test.createTestingModule>[0]['imports'] & object;
  const start = async (imports: Imports, providers: Type[] = [Reader]) => {
    const testing = Test.createTestingModule({ imports, providers }).setLogger(logger);
    const application = await (await testing.compile()).init();
    applications.push(application);
    return application;
  };
  const publish = async (newContent: string): Promise<void> => {
    center.publish({ billing: { content: newContent } });
    await center.clock.settle();
  };

  /** ConfigModule in a feature module of its own, not global. */
  const featureModule = () => {
    @Module({ imports: [forRoot(false)], providers: [Reader], exports: [Reader] })
    class Feature {}
    return Feature;
  };
  const arrangements: Record<string, () => { imports: Imports; providers: Type[] }> = {
    'ours first, theirs global': () => ({ imports: [...ours(), forRoot()], providers: [Reader] }),
    'ours last, theirs global': () => ({ imports: [forRoot(), ...ours()], providers: [Reader] }),
    'ours first, theirs in a feature module': () => ({
      imports: [...ours(), featureModule()],
      providers: [],
    }),
    'ours last, theirs in a feature module': () => ({ imports: [featureModule(), ...ours()], providers: [] }),
  };

  it.each(Object.entries(arrangements))('has live values: %s', async (_, arrange) => {
    const { imports, providers } = arrange();
    const application = await start(imports, providers);
    const { config } = application.get(Reader);
    expect(config).toBeInstanceOf(ConfigService);
    expect(config.get('retry.max')).toBe(5);
    await publish('retry: { max: 6 }');
    expect(config.get('retry.max')).toBe(6);
    expect(config.getOrThrow('retry.max')).toBe(6);
    expect(config.get('own.level')).toBe('info');
    expect(config.get('retry.wait')).toBe(9);
    await application.close();
  });

  it('reads the override file, then a named variable, then the store, then what the application has', async () => {
    process.env['LOCAL_ONLY'] = 'local';
    center.overrides.set('/o', '{"version":1,"entries":{"billing":{"retry.max":8}}}');
    const imports = [...ours({ overrideFile: '/o', environment: { TEST_DB_HOST: 'of the pod' } }), forRoot()];
    const { config } = (await start(imports)).get(Reader);
    expect(config.get('retry.max')).toBe(8);
    expect(config.get('db.host')).toBe('of the pod');
    expect(config.get('db')).toEqual({ host: 'of the pod', port: 1 });
    expect(config.get('retry.wait')).toBe(9);
    expect(config.get('LOCAL_ONLY')).toBe('local');
    expect(config.get('nowhere')).toBeUndefined();
    expect(config.get('nowhere', 'default')).toBe('default');
    expect(config.get('retry.max', 'default')).toBe(8);
    expect(() => config.getOrThrow('nowhere')).toThrow(TypeError);
    expect(config.get('C:\\no.path')).toBeUndefined();
  });

  it('a value that the store takes away is that of the application again, and reaches config classes too', async () => {
    @Injectable()
    class WithRef {
      constructor(
        readonly config: ConfigService,
        @InjectConfig(Billing) readonly ref: ConfigRef<Billing>,
      ) {}
    }
    const { config, ref } = (await start([...ours(), forRoot()], [WithRef])).get(WithRef);
    await publish('db: { port: 2 }');
    expect(config.get('retry.max')).toBe(1);
    expect(ref.value.retryMax).toBe(1);
    expect(ref.value.host).toBe('none');
  });

  it('tells each changed path once for a release, when all values are there', async () => {
    const application = await start([...ours(), forRoot()]);
    const { config } = application.get(Reader);
    const changes: Change[] = [];
    const sums: unknown[] = [];
    config.changes$.subscribe((change: Change) => {
      changes.push(change);
      sums.push([config.get('retry.max'), config.get('db.port')]);
    });
    await publish('retry: { max: 7 }\ndb: { host: stored, port: 2 }\nnew: [1]');
    expect(changes).toEqual([
      { path: 'retry.max', oldValue: 5, newValue: 7 },
      { path: 'db.port', oldValue: 1, newValue: 2 },
      { path: 'new', oldValue: undefined, newValue: [1] },
    ]);
    expect(sums).toEqual([
      [7, 2],
      [7, 2],
      [7, 2],
    ]);
    changes.length = 0;
    await publish('db: { host: stored, port: 2 }\nnew: [1]');
    expect(changes).toEqual([{ path: 'retry.max', oldValue: 7, newValue: 1 }]);
    await application.close();
  });

  it('shows nothing of a release that a config class refuses', async () => {
    const { config } = (await start([...ours(), forRoot()])).get(Reader);
    await publish('retry: { max: 11 }\ndb: { host: other }');
    expect([config.get('retry.max'), config.get('db.host')]).toEqual([5, 'stored']);
    await publish('retry: { max: 10 }\ndb: { host: other }');
    expect([config.get('retry.max'), config.get('db.host')]).toEqual([10, 'other']);
  });

  it('writes nothing into the environment of the process', async () => {
    const before = { ...process.env };
    const { config } = (await start([...ours(), forRoot()])).get(Reader);
    await publish('retry: { max: 6 }\ndb: { host: other }');
    expect(config.get('db.host')).toBe('other');
    expect({ ...process.env }).toEqual(before);
  });

  it('set works for what the store does not have, and is told to have no effect on what it has', async () => {
    const { config } = (await start([...ours(), forRoot()])).get(Reader);
    const changes: Change[] = [];
    config.changes$.subscribe((change: Change) => changes.push(change));
    config.set('own.level', 'debug');
    expect(config.get('own.level')).toBe('debug');
    expect(changes).toEqual([{ path: 'own.level', oldValue: 'info', newValue: 'debug' }]);
    config.set('retry.max', 2);
    expect(config.get('retry.max')).toBe(5);
    expect(changes).toHaveLength(1);
    expect(warnings).toEqual([expect.stringContaining("ConfigService.set('retry.max') has no effect")]);
    await publish('db: { host: a }');
    // A text in versions that read the environment before what was set.
    expect(Number(config.get('retry.max'))).toBe(2);
  });

  it('reads the namespaces that the option names, the first one that has a path, and only these', async () => {
    center.publish({
      web: { content: 'retry: { max: 50 }\ntitle: web' },
      mail: { content: 'title: mail\nport: 25' },
    });
    const names = ['mail', 'web'];
    const imports = [...ours({ configService: { namespaces: names } }), forRoot()];
    const application = await start(imports);
    const { config } = application.get(Reader);
    expect([config.get('title'), config.get('port'), config.get('retry.max')]).toEqual(['mail', 25, 50]);
    expect(config.get('db.host')).toBeUndefined();
    const paths: PropertyKey[] = [];
    config.changes$.subscribe(({ path }: Change) => paths.push(path));
    center.publish({ web: { content: 'title: W' }, mail: { content: 'title: M' } });
    await center.clock.settle();
    expect(paths.sort()).toEqual(['port', 'retry.max', 'title']);
    expect(config.get('title')).toBe('M');
    await application.close();
  });

  it('may give the options of the connection itself', async () => {
    const imports = [
      ConclaveModule.forRootAsync({
        imports: [forRoot(false)],
        inject: [ConfigService],
        useFactory: (config: ConfigService) =>
          connectedTo(center, { keyPrefix: config.getOrThrow<string>('own.level') }),
      }),
      ConclaveModule.forFeature([Billing]),
      featureModule(),
    ];
    const { config } = (await start(imports, [])).get(Reader);
    expect(config.get('retry.max')).toBe(5);
    await publish('retry: { max: 6 }');
    expect(config.get('retry.max')).toBe(6);
  });

  it('is left alone with configService: false', async () => {
    const { config } = (await start([...ours({ configService: false }), forRoot()])).get(Reader);
    expect(config.get('retry.max')).toBe(1);
    expect(config.get('db.host')).toBeUndefined();
  });

  it('a name that cannot be a namespace fails the start', async () => {
    const imports = [...ours({ configService: { namespaces: ['a/b/c'] } }), forRoot()];
    await expect(start(imports)).rejects.toThrow(/a\/b\/c/);
  });

  it('an application without ConfigModule has no values of its own below the store', async () => {
    process.env['retry.max'] = '9';
    await publish('db: { port: 2 }');
    @Injectable()
    class OnlyRef {
      constructor(@InjectConfig(Billing) readonly ref: ConfigRef<Billing>) {}
    }
    const { ref } = (await start(ours(), [OnlyRef])).get(OnlyRef);
    expect(ref.value.retryMax).toBe(3);
  });
});

describe('configCenterLoader', () => {
  it('loads the values of the start, before anything of the application is made', async () => {
    const center = new FakeCenter();
    center.publish({
      web: { content: 'title: web\ndb: { host: h, port: 1 }' },
      mail: { content: 'db: { port: 25 }' },
    });
    const before = { ...process.env };
    const load = [configCenterLoader({ ...connectedTo(center), namespaces: ['mail', 'web'] })];
    const seen: unknown[] = [];
    @Injectable()
    class Early {
      constructor(config: ConfigService) {
        seen.push(config.get('title'), config.get('db'));
      }
    }
    const imports = [ConfigModule.forRoot({ ignoreEnvFile: true, load })];
    await Test.createTestingModule({ imports, providers: [Early] }).compile();
    expect(seen).toEqual(['web', { host: 'h', port: 25 }]);
    expect({ ...process.env }).toEqual(before);
    expect(center.clock.timers).toBe(0);
  });

  it('fails the start without the store and a cache', async () => {
    const center = new FakeCenter();
    center.store.partition();
    const loading = configCenterLoader({ ...connectedTo(center), namespaces: ['web'] })();
    const failed = expect(loading).rejects.toThrow("the configuration 'web' cannot be loaded");
    await center.clock.advance(20_000);
    await failed;
  });
});
