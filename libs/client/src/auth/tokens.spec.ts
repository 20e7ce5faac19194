import { etcdserverpb as pb, GrpcStatus, protocolErrors, type ProtocolErrorName } from '@conclave/protocol';
import { describe, expect, it } from 'vitest';
import { type ClientOptions, createClient } from '../client.js';
import { type ClientWarning } from '../host.js';
import { FakeNetwork } from '../testing/fake-transport.js';
import { outcomeOf } from '../testing/outcome.js';
import { VirtualClock } from '../testing/virtual-clock.js';
import { TransportError, type TransportFactory, type UnaryOptions } from '../transport.js';

const refusal = (name: ProtocolErrorName) =>
  Promise.reject<Uint8Array>(
    new TransportError(protocolErrors[name].code, protocolErrors[name].message, true),
  );

const header = { cluster_id: 1n, member_id: 1n, revision: 10n, raft_term: 3n };
const done = () => Promise.resolve(pb.PutResponse.encode({ header, prev_kv: undefined }).finish());

/** A member that wants tokens: it knows users and passwords, and which tokens are good. */
class Doorkeeper {
  readonly passwords = new Map([['app', 'one']]);
  readonly valid = new Set<string>();
  readonly logins: string[] = [];
  isEnabled = true;
  isUnknown = false;
  /** Refuse even what was just issued. */
  refusesAll: ProtocolErrorName | undefined;
  issued = 0;

  answer = (path: string, request: Uint8Array, { metadata }: UnaryOptions): Promise<Uint8Array> => {
    if (path.endsWith('/Authenticate')) return this.logIn(pb.AuthenticateRequest.decode(request));
    if (!this.isEnabled) return done();
    const { token } = metadata;
    if (token === undefined) return refusal('UserEmpty');
    if (this.refusesAll !== undefined) return refusal(this.refusesAll);
    return this.valid.has(token) ? done() : refusal('InvalidAuthToken');
  };

  private logIn({ name, password }: pb.AuthenticateRequest): Promise<Uint8Array> {
    this.logins.push(password);
    if (this.isUnknown)
      return Promise.reject(new TransportError(GrpcStatus.Unimplemented, 'unknown service', true));
    if (!this.isEnabled) return refusal('AuthNotEnabled');
    if (this.passwords.get(name) !== password) return refusal('AuthFailed');
    this.issued += 1;
    const token = `t${this.issued}`;
    this.valid.add(token);
    return Promise.resolve(pb.AuthenticateResponse.encode({ header, token }).finish());
  }
}

/** Of this machine, so that nobody else could listen to passwords. */
const here = 'localhost';

function world(options: Partial<ClientOptions> = {}) {
  const clock = new VirtualClock();
  const network = new FakeNetwork((ms, callback) => clock.setTimer(ms, callback));
  const door = new Doorkeeper();
  network.add(here, { answer: door.answer });
  const warnings: ClientWarning[] = [];
  const client = createClient({
    endpoints: [here],
    clock,
    random: () => 0.25,
    transport: network.factory,
    auth: { username: 'app', password: 'one' },
    onWarning: (warning) => warnings.push(warning),
    ...options,
  });
  const puts = () => network.calls.filter((call) => call.path.endsWith('/Put'));
  return { clock, network, door, client, warnings, puts };
}

describe('tokens', () => {
  it('logs in on first need, once for all calls, and sends the token with each call and stream', async () => {
    const { clock, network, door, client, puts } = world();
    await client.ready();
    expect(door.logins).toEqual([]);
    await Promise.all([client.kv.put('a', '1'), client.kv.put('b', '2'), client.kv.get('c')]);
    expect(door.logins).toEqual(['one']);
    expect(puts().map((call) => call.metadata)).toMatchObject([{ token: 't1' }, { token: 't1' }]);
    client.watch.events('k', { fromRevision: 5n, trackKeys: false }).subscribe();
    await clock.settle();
    expect(network.streams[0]?.metadata).toMatchObject({ token: 't1', hasleader: 'true' });
    const login = network.calls.find((call) => call.path.endsWith('/Authenticate'));
    expect(login?.metadata).not.toHaveProperty('token');
  });

  it('renews an expired token once for all calls together, and sends refused writes again', async () => {
    const { door, client } = world();
    await client.kv.put('a', '1');
    door.valid.clear();
    const results = await Promise.all(Array.from({ length: 20 }, () => client.kv.put('a', '2')));
    expect(results).toHaveLength(20);
    expect(door.logins).toHaveLength(2);
  });

  it('gives up, without a loop, when a token that was just issued is refused', async () => {
    const { clock, door, client, puts } = world();
    door.refusesAll = 'InvalidAuthToken';
    const put = outcomeOf(client.kv.put('a', '1'));
    await clock.advance(10_000);
    expect(put.error).toMatchObject({ code: 'unauthorized', reason: 'InvalidAuthToken', retryable: false });
    expect(door.logins).toHaveLength(1);
    expect(puts()).toHaveLength(1);
  });

  it('bears a change of the auth store, and a second one meanwhile, but not a third', async () => {
    const { clock, door, client } = world();
    await client.kv.put('a', '1');
    door.refusesAll = 'AuthOldRevision';
    const put = outcomeOf(client.kv.put('a', '2'));
    await clock.advance(10_000);
    expect(put.error).toMatchObject({ code: 'unauthorized', reason: 'AuthOldRevision' });
    expect(door.logins).toHaveLength(3);
    door.refusesAll = undefined;
    await client.kv.put('a', '3');
  });

  it('a wrong password fails every call, and is offered again only after a pause', async () => {
    const { clock, door, client } = world({ auth: { username: 'app', password: 'wrong' } });
    const failed = async () => {
      const call = outcomeOf(client.kv.put('a', '1'));
      await clock.settle();
      return call.error;
    };
    expect(await failed()).toMatchObject({ code: 'unauthorized', reason: 'AuthFailed', endpoint: here });
    expect(await failed()).toMatchObject({ message: expect.stringContaining('auth.password') as string });
    expect(door.logins).toHaveLength(1);
    await clock.advance(1_000);
    await failed();
    expect(door.logins).toHaveLength(2);
    await clock.advance(1_999);
    await failed();
    expect(door.logins).toHaveLength(2);
    door.passwords.set('app', 'wrong');
    await clock.advance(1);
    await client.kv.put('a', '1');
  });

  it('another password is offered at once', async () => {
    let password = 'old';
    const { clock, door, client } = world({
      auth: { username: 'app', password: () => Promise.resolve(password) },
    });
    const call = outcomeOf(client.kv.put('a', '1'));
    await clock.settle();
    expect(call.error?.code).toBe('unauthorized');
    password = 'one';
    await client.kv.put('a', '1');
    expect(door.logins).toEqual(['old', 'one']);
  });

  it('permission denied is final, and costs no login', async () => {
    const { clock, door, client } = world();
    await client.kv.put('a', '1');
    door.refusesAll = 'PermissionDenied';
    const put = outcomeOf(client.kv.put('b', '1'));
    await clock.settle();
    expect(put.error).toMatchObject({ code: 'unauthorized', reason: 'PermissionDenied' });
    expect(door.logins).toHaveLength(1);
  });

  it('asks a token function on first need and after a refusal, and never takes the same token again', async () => {
    let token = 'x1';
    let asked = 0;
    const give = () => {
      asked += 1;
      return Promise.resolve(token);
    };
    const { clock, door, client } = world({ auth: { token: give } });
    door.valid.add('x1');
    await client.kv.put('a', '1');
    await client.kv.put('a', '2');
    expect(asked).toBe(1);
    door.valid.clear();
    const refused = outcomeOf(client.kv.put('a', '3'));
    await clock.settle();
    expect(refused.error).toMatchObject({ code: 'unauthorized' });
    expect(asked).toBe(2);
    token = 'x2';
    door.valid.add('x2');
    await client.kv.put('a', '4');
    expect(door.logins).toEqual([]);
  });

  it('a function that fails makes the call fail as one that may be made again', async () => {
    const broken = () => Promise.reject(new Error('the vault is sealed'));
    const { clock, client } = world({ auth: { token: broken } });
    const call = outcomeOf(client.kv.put('a', '1'));
    await clock.settle();
    expect(call.error).toMatchObject({ code: 'unavailable', retryable: true });
    expect(call.error?.message).toContain('the vault is sealed');
  });

  it('goes on without a token where the server asks for none, warns once, and logs in when it does later', async () => {
    const { door, client, warnings, puts } = world();
    door.isEnabled = false;
    await client.kv.put('a', '1');
    await client.kv.put('a', '2');
    expect(warnings.map(({ code }) => code)).toEqual(['auth-not-enabled']);
    expect(door.logins).toHaveLength(1);
    door.isEnabled = true;
    await client.kv.put('a', '3');
    expect(puts().at(-1)?.metadata).toMatchObject({ token: 't1' });
    const older = world();
    older.door.isEnabled = false;
    older.door.isUnknown = true;
    await older.client.kv.put('a', '1');
    expect(older.warnings.map(({ code }) => code)).toEqual(['auth-not-enabled']);
  });

  it('a login that is lost with its connection is made again at another member', async () => {
    const { clock, network, door, client } = world({ endpoints: [here, 'b'] });
    network.add('b', { answer: door.answer });
    await client.ready();
    Object.assign(network.members.get(here) ?? {}, { answer: () => new Promise(() => undefined) });
    const put = outcomeOf(client.kv.put('a', '1'));
    await clock.settle();
    network.crash(here);
    await clock.advance(1_000);
    expect(put).toMatchObject({ settled: true });
    expect(put.error).toBeUndefined();
    expect(puts(network)).toEqual(['b']);
  });

  it('leaves a member that does not answer a login, also when nobody waits for it any more', async () => {
    const { clock, network, door, client } = world({ endpoints: [here, 'b'], requestTimeout: '2s' });
    network.add('b', { answer: door.answer });
    await client.ready();
    Object.assign(network.members.get(here) ?? {}, { mode: 'silent' });
    const put = outcomeOf(client.kv.put('a', '1'));
    await clock.advance(2_000);
    expect(put.error).toMatchObject({ code: 'timeout', retryable: true });
    await clock.advance(3_000);
    expect(network.connections).toEqual(['b']);
    await client.kv.put('a', '2');
  });

  it('opens a stream again with a new token when its own is refused, and ends it when the new one is as well', async () => {
    const { clock, network, door, client } = world();
    await client.kv.put('a', '1');
    const watch = outcomeOf(
      new Promise((_, reject) =>
        client.watch.events('k', { fromRevision: 5n, trackKeys: false }).subscribe({ error: reject }),
      ),
    );
    await clock.settle();
    const { code, message } = protocolErrors.InvalidAuthToken;
    network.streams[0]?.observer.end(new TransportError(code, message, true));
    await clock.advance(500);
    expect(network.streams.map((stream) => stream.metadata)).toMatchObject([
      { token: 't1' },
      { token: 't2' },
    ]);
    expect(watch.settled).toBe(false);
    expect(door.logins).toHaveLength(2);
    network.streams[1]?.observer.end(new TransportError(code, message, true));
    await clock.advance(500);
    expect(watch.error).toMatchObject({ code: 'unauthorized', reason: 'InvalidAuthToken' });
  });

  it('finds out whether a denied watch had an expired token or no permission', async () => {
    const { clock, network, door, client } = world();
    await client.kv.put('a', '1');
    const watch = outcomeOf(
      new Promise((_, reject) =>
        client.watch.events('k', { fromRevision: 5n, trackKeys: false }).subscribe({ error: reject }),
      ),
    );
    await clock.settle();
    const deny = (at: number) =>
      network.streams[at]?.observer.message(
        pb.WatchResponse.encode(
          pb.WatchResponse.create({
            header,
            created: true,
            canceled: true,
            cancel_reason: 'rpc error: code = PermissionDenied desc = etcdserver: permission denied',
          }),
        ).finish(),
      );
    door.valid.clear();
    deny(0);
    await clock.advance(500);
    expect(network.streams.map((stream) => stream.metadata)).toMatchObject([
      { token: 't1' },
      { token: 't2' },
    ]);
    expect(watch.settled).toBe(false);
    deny(1);
    await clock.advance(500);
    expect(watch.error).toMatchObject({ code: 'unauthorized', reason: 'PermissionDenied' });
    expect(door.logins).toHaveLength(2);
  });

  it('takes a member that tells nobody its status without a token for alive, and checks its cluster later', async () => {
    const { network, door } = world();
    const statuses: (string | undefined)[] = [];
    const transport: TransportFactory = (endpoint, options) => {
      const inner = network.factory(endpoint, options);
      return {
        unary: (path, request, call) => {
          if (!path.endsWith('/Status')) return inner.unary(path, request, call);
          statuses.push(call.metadata['token']);
          return refusal('UserEmpty');
        },
        stream: (path, call, observer) => inner.stream(path, call, observer),
        close: () => inner.close(),
      };
    };
    const { client } = world({ transport });
    await client.kv.put('a', '1');
    expect(statuses).toEqual([undefined]);
    expect(door.logins).toEqual(['one']);
    await client.close();
  });

  it('says when credentials travel unencrypted to another machine', async () => {
    const { clock, network, door, client, warnings } = world({ endpoints: ['http://far:1'] });
    network.add('http://far:1', { answer: door.answer });
    await client.kv.put('a', '1');
    await clock.settle();
    expect(warnings.map(({ code }) => code)).toEqual(['credentials-in-clear']);
  });

  it('refuses credentials that cannot work, all mistakes at once', () => {
    const make = (auth: object) => () => createClient({ endpoints: ['a'], auth: auth as never });
    expect(make({ username: '', password: 5 })).toThrow(/username: .*; password: /);
    expect(make({ token: 'text' })).toThrow('token: must be a function');
    expect(make({ token: () => Promise.resolve(''), username: 'u' })).toThrow('excludes');
  });
});

function puts(network: FakeNetwork): readonly string[] {
  return network.calls.filter((call) => call.path.endsWith('/Put')).map((call) => call.endpoint);
}
