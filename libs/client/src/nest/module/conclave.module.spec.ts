import { Inject, Injectable, Module, type OnModuleInit, Scope } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { describe, expect, it } from 'vitest';
import { type ConclaveClient } from '../../client.js';
import { type Election } from '../../concurrency/election.js';
import { type DistributedMutex } from '../../concurrency/mutex.js';
import { FakeCenter } from '../../config/testing/fake-center.js';
import { outcomeOf } from '../../testing/outcome.js';
import { connectedTo } from '../testing/connected-to.js';
import { ConclaveModule } from './conclave.module.js';
import { Connections, connectionsOf } from './connections.js';
import { registerFeature } from './explorer.js';
import { InjectConclave, InjectElection, InjectLock } from './inject.js';
import { type ConclaveModuleOptions } from './options.js';
import { clientOptionsOf } from './started-client.js';
import { getConclaveToken, getLockToken } from './tokens.js';

const marked = Symbol.for('@conclave/client/nest/test/marked');
const bound: { method: string; metadata: unknown; connections: Connections }[] = [];
registerFeature({
  key: marked,
  onlyStatic: '@Marked',
  bind: ({ instance, methodName, metadata, connections }) =>
    bound.push({ method: `${instance.constructor.name}.${methodName}`, metadata, connections }),
});

function Marked(value: string): MethodDecorator {
  return (_, __, descriptor) => Reflect.defineMetadata(marked, value, descriptor.value as object);
}

describe('ConclaveModule', () => {
  it('gives the client of a connection to modules that import it, and to all when it is global', async () => {
    const center = new FakeCenter();
    @Injectable()
    class Worker {
      constructor(@InjectConclave() readonly client: ConclaveClient) {}
    }
    @Module({ providers: [Worker] })
    class Feature {}
    const build = (options: Partial<ConclaveModuleOptions>) =>
      Test.createTestingModule({
        imports: [ConclaveModule.forRoot(connectedTo(center, options)), Feature],
      }).compile();
    const application = await build({ isGlobal: true });
    await application.get(Worker).client.kv.put('a', '1');
    expect((await application.get(Worker).client.kv.get('a'))?.modRevision).toBe(2n);
    await expect(build({})).rejects.toThrow("can't resolve dependencies of the Worker (?)");
  });

  it('forRootAsync takes what stands beside the factory, unless the factory gives it', async () => {
    const center = new FakeCenter();
    const seen: ConclaveModuleOptions[] = [];
    @Module({ providers: [{ provide: 'STAGE', useValue: 'prod' }], exports: ['STAGE'] })
    class Env {}
    const application = await Test.createTestingModule({
      imports: [
        ConclaveModule.forRootAsync({
          name: 'second',
          imports: [Env],
          inject: ['STAGE'],
          useFactory: (env: string) => ({
            ...connectedTo(center),
            env,
            clientFactory: (options) => {
              seen.push(options);
              return center.client();
            },
          }),
          env: 'dev',
          labels: { zone: 'a' },
        }),
      ],
    }).compile();
    expect(seen).toMatchObject([{ name: 'second', env: 'prod', labels: { zone: 'a' }, app: 'shop' }]);
    expect(application.get(Connections).client('second')).toBe(application.get(getConclaveToken('second')));
    expect(application.get(Connections).options('second').env).toBe('prod');
    expect(() => application.get(Connections).client()).toThrow(
      "there is no connection 'default' (there are: 'second'); import ConclaveModule.forRoot({ name: 'default'",
    );
  });

  it('forFeature gives locks, elections and the client of a connection that is not global', async () => {
    const center = new FakeCenter();
    @Injectable()
    class Billing {
      constructor(
        @InjectLock('invoices') readonly lock: DistributedMutex,
        @InjectElection('billing-worker', 'other') readonly election: Election,
        @Inject(getLockToken('invoices')) readonly same: DistributedMutex,
        @InjectConclave() readonly client: ConclaveClient,
      ) {}
    }
    @Module({
      imports: [
        ConclaveModule.forFeature([], { locks: ['invoices'] }),
        ConclaveModule.forFeature([], { elections: ['billing-worker'], name: 'other' }),
      ],
      providers: [Billing],
    })
    class Feature {}
    const application = await Test.createTestingModule({
      imports: [
        Feature,
        ConclaveModule.forRoot(connectedTo(center)),
        ConclaveModule.forRoot(connectedTo(center, { name: 'other' })),
      ],
    }).compile();
    const { lock, election, same, client } = application.get(Billing);
    expect(same).toBe(lock);
    await using held = await lock.acquire();
    expect(held.isHeld()).toBe(true);
    expect(await election.leader()).toBeNull();
    expect(await client.locks.mutex('invoices').tryAcquire()).toBeNull();
    const features = application.get(Connections).features('election');
    expect(features).toEqual([{ kind: 'election', feature: 'billing-worker', name: 'other' }]);
  });

  it('says what is missing, and what is there twice', async () => {
    const center = new FakeCenter();
    const build = (...imports: Parameters<typeof Test.createTestingModule>[0]['imports'] & object) =>
      Test.createTestingModule({ imports }).compile();
    await expect(build(ConclaveModule.forFeature([], { locks: ['a'], name: 'x' }))).rejects.toThrow(
      "the connection 'x', which is nowhere: import ConclaveModule.forRoot({ name: 'x', … }) in the root module",
    );
    const twice = [0, 1].map(() => ConclaveModule.forRoot(connectedTo(center)));
    await expect(build(...twice)).rejects.toThrow("there are two connections 'default'");
    expect(() => clientOptionsOf({ endpoints: ['a:1'], labels: { zone: 'a' } })).toThrow(
      'the option labels belongs to an app',
    );
  });

  it('hands the options on to where the client has them', () => {
    const options: ConclaveModuleOptions = {
      endpoints: ['a:1'],
      name: 'x',
      isGlobal: true,
      shutdown: { drain: '1s' },
      app: 'shop',
      env: 'prod',
      keyPrefix: 'p/',
      start: { mode: 'require-live' },
      report: false,
    };
    expect(clientOptionsOf(options)).toEqual({
      endpoints: ['a:1'],
      keyPrefix: 'p/',
      config: { app: 'shop', env: 'prod', start: { mode: 'require-live' }, report: false },
    });
    expect(clientOptionsOf({ endpoints: ['a:1'], start: { timeout: '1s' } })).toEqual({ endpoints: ['a:1'] });
  });

  it('start.mode require-live fails the start without the store, and closes what was begun', async () => {
    const center = new FakeCenter();
    const client = center.client();
    let isClosed = false;
    const unreachable = Object.assign(Object.create(client) as ConclaveClient, {
      ready: () => new Promise<void>(() => undefined),
      close: () => {
        isClosed = true;
        return client.close();
      },
    });
    const options = connectedTo(center, {
      start: { mode: 'require-live', timeout: '3s' },
      clientFactory: () => unreachable,
    });
    const start = outcomeOf(
      Test.createTestingModule({ imports: [ConclaveModule.forRoot(options)] }).compile(),
    );
    await center.clock.advance(2_999);
    expect(start.settled).toBe(false);
    await center.clock.advance(1);
    expect(start.error?.message).toContain('could not be reached within 3000 ms');
    expect(start.error?.code).toBe('config-unavailable');
    expect(isClosed).toBe(true);
  });
});

describe('the explorer', () => {
  @Injectable()
  class Base {
    @Marked('base') first(): void {}
  }
  @Injectable()
  class Service extends Base implements OnModuleInit {
    boundAtInit = 0;
    onModuleInit(): void {
      this.boundAtInit = bound.length;
    }
    @Marked('service') second(): void {}
  }
  const start = async (
    ...providers: Parameters<typeof Test.createTestingModule>[0]['providers'] & object
  ) => {
    bound.length = 0;
    const imports = [ConclaveModule.forRoot(connectedTo(new FakeCenter()))];
    const application = await Test.createTestingModule({ imports, providers }).compile();
    await application.init();
    return application;
  };

  it('binds each instance once, with its own and its inherited methods, before onModuleInit of others', async () => {
    const application = await start(Service, { provide: 'ALIAS', useExisting: Service });
    const connections = application.get(Connections);
    expect(bound.map(({ method, metadata }) => [method, metadata])).toEqual([
      ['Service.second', 'service'],
      ['Service.first', 'base'],
    ]);
    expect(application.get(Service).boundAtInit).toBe(2);
    expect(bound[0]?.connections).toBe(connections);
    expect(connectionsOf(application.get(Service))).toBe(connections);
    await application.close();
  });

  it('an instance that Nest did not make belongs to the application that runs, when there is one', async () => {
    expect(() => connectionsOf(new Service())).toThrow('Service belongs to no running application');
    const one = await start();
    expect(connectionsOf(new Service())).toBe(one.get(Connections));
    const two = await start(Service);
    expect(connectionsOf(two.get(Service))).toBe(two.get(Connections));
    expect(() => connectionsOf(new Service())).toThrow('was not made by Nest, and 2 applications run');
    await two.close();
    expect(connectionsOf(new Service())).toBe(one.get(Connections));
    await one.close();
    expect(() => connectionsOf(new Service())).toThrow('no running application');
  });

  it('refuses decorators that need an instance on classes that are made for each request', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class PerRequest {
      @Marked('x') method(): void {}
    }
    await expect(start(PerRequest)).rejects.toThrow(
      '@Marked on PerRequest.method: Nest makes this class anew',
    );
  });

  it('binds transient instances, each for itself', async () => {
    @Injectable({ scope: Scope.TRANSIENT })
    class Transient {
      @Marked('t') method(): void {}
    }
    @Injectable()
    class Host {
      constructor(
        readonly a: Transient,
        @Inject(Transient) readonly b: Transient,
      ) {}
    }
    const application = await start(Transient, Host);
    const { a } = application.get(Host);
    expect(bound.filter(({ method }) => method === 'Transient.method')).toHaveLength(1);
    expect(connectionsOf(a)).toBe(application.get(Connections));
    await application.close();
  });
});
