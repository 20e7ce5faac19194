import { type ConfigTree } from '@conclave/config-model';
import { describe, expect, it } from 'vitest';
import { type ConfigInvalidError } from '../errors.js';
import { outcomeOf } from '../testing/outcome.js';
import { configClass, type ConfigClassOptions, type ConfigPropertyOptions } from './config-class.js';
import { type ConfigChange } from './config-ref.js';
import { FakeCenter } from './testing/fake-center.js';

interface Billing {
  max: number;
  name: string;
  limits?: { perMinute: number };
}

function validate(values: ConfigTree) {
  const violations: string[] = [];
  if (typeof values['max'] !== 'number' || values['max'] > 10)
    violations.push(`max is ${String(values['max'])}`);
  if (typeof values['name'] !== 'string') violations.push('name is no text');
  return violations.length > 0 ? { violations } : { value: values as unknown as Billing };
}

function billingClass(
  options: ConfigClassOptions = {},
  properties: Readonly<Record<string, ConfigPropertyOptions>> = {},
) {
  return configClass<Billing>({
    name: 'Billing',
    namespace: 'billing',
    properties: { max: {}, name: { default: 'none' }, limits: {}, ...properties },
    validate,
    ...options,
  });
}

describe('config classes', () => {
  it('P32 a ref has the value, changes$ tells changes and not the first value, select replays', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'max: 1\nlimits: { perMinute: 5 }' } });
    const client = center.client();
    const ref = await client.config.ref(billingClass());
    expect(ref.value).toEqual({ max: 1, name: 'none', limits: { perMinute: 5 } });
    expect(ref).toMatchObject({ revision: 2n, freshness: { kind: 'live' } });
    const changes: ConfigChange<Billing>[] = [];
    const selected: number[] = [];
    const limits: unknown[] = [];
    ref.changes$.subscribe((change) => changes.push(change));
    ref.select((c) => c.max).subscribe((max) => selected.push(max));
    ref.select((c) => c.limits).subscribe((part) => limits.push(part));
    const before = ref.value;
    center.publish({ billing: { content: 'max: 2\nlimits: { perMinute: 5 }' } });
    await center.clock.settle();
    center.publish({ billing: { content: 'limits: { perMinute: 5 }\nmax: 2' } });
    await center.clock.settle();
    expect(changes).toEqual([
      { previous: before, current: ref.value, changedKeys: ['max'], revision: 3n, cause: 'change' },
    ]);
    expect(ref.revision).toBe(4n);
    expect(selected).toEqual([1, 2]);
    expect(limits).toEqual([{ perMinute: 5 }]);
    expect(before.max).toBe(1);
  });

  it('values cannot be changed by those who have them', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'max: 1\nlimits: { perMinute: 5 }' } });
    const { value } = await center.client().config.ref(billingClass());
    expect(() => Object.assign(value, { max: 9 })).toThrow(TypeError);
    expect(() => Object.assign(value.limits ?? {}, { perMinute: 9 })).toThrow(TypeError);
  });

  it('one class is read once, whoever asks', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'max: 1' } });
    const client = center.client();
    const billing = billingClass();
    const [a, b] = await Promise.all([client.config.ref(billing), client.config.ref(billing)]);
    expect(a).toBe(b);
    await expect(client.config.ref(class {})).rejects.toThrow('is not a config class');
    expect(() => configClass({ name: 'X', validate })).toThrow('either a namespace or keys');
  });

  it('P30 an invalid release leaves the last good value in force as a whole, and a valid one ends that', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'max: 1\nname: a' } });
    const client = center.client();
    const ref = await client.config.ref(billingClass());
    const changes: unknown[] = [];
    ref.changes$.subscribe((change) => changes.push(change.current));
    center.publish({ billing: { content: 'max: 99\nname: b' } });
    await center.clock.settle();
    expect(ref.value).toEqual({ max: 1, name: 'a' });
    let status = {};
    client.config.status$.subscribe((all) => (status = all.get('billing') ?? {}));
    expect(status).toMatchObject({ state: 'rejected', error: 'Billing: max is 99' });
    expect(center.warnings).toEqual([
      {
        code: 'release-rejected',
        message: "Billing keeps its last good value, release 2 of 'billing' is refused: max is 99",
        namespace: 'billing',
      },
    ]);
    center.publish({ billing: { content: 'max: 3\nname: c' } });
    await center.clock.settle();
    expect(changes).toEqual([{ max: 3, name: 'c' }]);
    expect(status).toMatchObject({ state: 'applied', release: '3' });
  });

  it('P30 a start with an invalid release fails and says why, with every violation', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'max: 99\nname: 5' } });
    const error = (await center
      .client()
      .config.ref(billingClass())
      .catch((caught: unknown) => caught)) as ConfigInvalidError;
    expect(error).toMatchObject({ code: 'config-invalid', key: 'billing', revision: 2n });
    expect(error.violations).toEqual(['max is 99', 'name is no text']);
    const missing = await center
      .client()
      .config.ref(billingClass({ namespace: 'absent' }))
      .catch((caught: unknown) => caught);
    expect((missing as ConfigInvalidError).violations).toContain("nothing is released in 'absent'");
  });

  it('P30 with keep-last a start takes the last good release of the cache, with fail it does not', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'max: 1' } });
    const first = center.client();
    await first.config.ref(billingClass());
    center.publish({ billing: { content: 'max: 99' } });
    await center.clock.advance(1_000);
    await first.close();
    const ref = await center.client().config.ref(billingClass());
    expect(ref.value.max).toBe(1);
    center.publish({ billing: { content: 'max: 4' } });
    await center.clock.settle();
    expect(ref.value.max).toBe(4);
    center.publish({ billing: { content: 'max: 99' } });
    await center.clock.settle();
    await expect(center.client().config.ref(billingClass({ onInvalid: 'fail' }))).rejects.toThrow(
      'max is 99',
    );
  });

  it('all classes have a release before any subscriber is told of it, over several namespaces', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'max: 1' }, other: { content: 'max: 1' } });
    const client = center.client();
    const a = await client.config.ref(billingClass());
    const b = await client.config.ref(billingClass({ namespace: 'other' }));
    const seen: string[] = [];
    const look = (from: string) => () => seen.push(`${from}: ${a.value.max} ${b.value.max}`);
    a.changes$.subscribe(look('a'));
    b.changes$.subscribe(look('b'));
    client.config.document$('billing').subscribe(look('document'));
    center.publish({ billing: { content: 'max: 2' }, other: { content: 'max: 2' } });
    await center.clock.settle();
    expect(seen).toEqual(['document: 1 1', 'a: 2 2', 'b: 2 2', 'document: 2 2']);
  });

  it('each source wins over those behind it: override, environment, server, module, default', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'max: 1\nname: server\nlimits: { perMinute: 5, perHour: 6 }' } });
    const properties = {
      name: { env: 'NAME', default: 'default' },
      extra: { env: 'EXTRA', default: 'default' },
    };
    const nameWith = async (options: Parameters<FakeCenter['client']>[0], content?: string) => {
      if (content !== undefined) center.publish({ billing: { content } });
      const { value } = await center
        .client({ cache: false, ...options })
        .config.ref(billingClass({}, properties));
      return value.name;
    };
    const override = '{"version": 1, "entries": {"billing": {"name": "override", "limits.perMinute": 9}}}';
    center.overrides.set('/override.json', override);
    const all = {
      overrideFile: '/override.json',
      environment: { NAME: 'environment' },
      moduleValues: () => 'module',
    };
    expect(await nameWith(all)).toBe('override');
    center.overrides.delete('/override.json');
    expect(await nameWith(all)).toBe('environment');
    expect(await nameWith({ moduleValues: () => 'module' })).toBe('server');
    expect(await nameWith({ moduleValues: () => 'module' }, 'max: 1')).toBe('module');
    expect(await nameWith({})).toBe('default');
  });

  it('an override of a part leaves the rest, and is taken away with its entry', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'max: 1\nlimits: { perMinute: 5, perHour: 6 }' } });
    center.overrides.set('/o', '{"version": 1, "entries": {"billing": {"limits.perMinute": 9}}}');
    const ref = await center.client({ overrideFile: '/o' }).config.ref(billingClass());
    expect(ref.value.limits).toEqual({ perMinute: 9, perHour: 6 });
    center.overrides.set('/o', '{ broken');
    await center.clock.advance(5_000);
    expect(ref.value.limits?.perMinute).toBe(9);
    expect(center.warnings[0]?.message).toContain('/o is not used: it is not JSON');
    center.overrides.delete('/o');
    await center.clock.advance(5_000);
    expect(ref.value.limits?.perMinute).toBe(5);
  });

  it('parses raw values, and what a parser throws is a violation', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: 'max=7\nlimits.perMinute=5', format: 'properties' } });
    const properties = {
      max: { parse: (raw: unknown) => Number(raw) },
      perMinute: { path: 'limits.perMinute' },
    };
    const { value } = await center.client().config.ref(billingClass({}, properties));
    expect(value).toEqual({ max: 7, name: 'none', limits: { perMinute: '5' }, perMinute: '5' });
    const throwing = {
      max: {
        parse: () => {
          throw new Error('not today');
        },
      },
    };
    await expect(center.client().config.ref(billingClass({}, throwing))).rejects.toThrow('max: not today');
  });

  it('without properties the class is given the document', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: '{"max": 1, "name": "x"}', format: 'json' } });
    const whole = configClass<Billing>({ name: 'Whole', namespace: 'billing', validate });
    expect((await center.client().config.ref(whole)).value).toEqual({ max: 1, name: 'x' });
  });

  it('reads plain keys on a store without a center', async () => {
    const center = new FakeCenter();
    center.store.putKey('cfg/max', '3');
    center.store.putKey('cfg/deep/name', 'x');
    const client = center.world.client();
    const plain = configClass<Billing>({
      name: 'Plain',
      keys: 'cfg/',
      properties: { max: { parse: Number }, name: { path: 'deep/name' } },
      validate,
    });
    const ref = await client.config.ref(plain);
    expect(ref.value).toEqual({ max: 3, name: 'x' });
    center.store.putKey('cfg/max', '99');
    await center.clock.settle();
    expect(ref.value.max).toBe(3);
    center.store.putKey('cfg/max', '4');
    await center.clock.settle();
    expect(ref.value.max).toBe(4);
    expect(ref.freshness.kind).toBe('live');
    await client.close();
  });

  it('a client without an identity says what it needs', async () => {
    const client = new FakeCenter().world.client();
    await expect(client.config.ref(billingClass())).rejects.toThrow("createClient({ config: { app: '…' } })");
    const center = new FakeCenter();
    expect(() => center.client({ env: 'Prod' })).toThrow("config.env: 'Prod' is not a name");
  });

  it('close ends everything, and waits with it', async () => {
    const center = new FakeCenter();
    center.store.partition();
    const client = center.client({ report: true });
    const waiting = outcomeOf(client.config.ref(billingClass()));
    let completed = false;
    client.config.snapshot$().subscribe({ complete: () => (completed = true) });
    await center.clock.settle();
    const closing = client.close();
    await center.clock.advance(6_000);
    await closing;
    expect(waiting.error?.code).toBe('closed');
    expect(completed).toBe(true);
    expect(center.clock.timers).toBe(0);
    await expect(client.config.ref(billingClass())).rejects.toMatchObject({ code: 'closed' });
  });
});
