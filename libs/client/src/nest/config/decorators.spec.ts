import { Type } from 'class-transformer';
import {
  IsArray,
  IsBoolean,
  IsInt,
  IsOptional,
  IsString,
  Matches,
  Max,
  Min,
  ValidateNested,
} from 'class-validator';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { type ConfigClassRef } from '../../config/config-class.js';
import { type ConfigOptions } from '../../config/config-options.js';
import { type Draft, FakeCenter } from '../../config/testing/fake-center.js';
import { ConfigClass, ConfigKey, Secret } from './decorators.js';

class Limits {
  @IsInt() @Max(100) perMinute!: number;
  @IsInt() perHour = 1_000;
}

class Region {
  @IsString() name!: string;
  @Secret() @IsString() key!: string;
}

@ConfigClass({ namespace: 'billing' })
class Billing {
  @ConfigKey('retry.max', { default: 3 }) @IsInt() @Min(0) @Max(10) retryMax!: number;
  @ConfigKey('feature.x') @IsBoolean() @IsOptional() x?: boolean;
  @ConfigKey('db.password', { env: 'DB_PASSWORD' }) @Secret() @IsString() password!: string;
  @ValidateNested() limits!: Limits;
  @IsArray() @ValidateNested({ each: true }) @Type(() => Region) regions: Region[] = [];
  @IsString() currency = 'EUR';

  describe(): string {
    return `${this.retryMax} tries in ${this.currency}`;
  }
}

async function valueOf<C extends object>(
  configClass: ConfigClassRef<C>,
  draft: Draft,
  options: Partial<ConfigOptions> = {},
): Promise<Readonly<C>> {
  const center = new FakeCenter();
  center.publish({ billing: draft });
  return (await center.client(options).config.ref(configClass)).value;
}

const full = `
retry: { max: 5 }
feature: { x: true }
db: { password: s3cret }
limits: { perMinute: 7 }
regions: [{ name: eu, key: k-eu }]
`;

describe('decorated config classes', () => {
  it('the value is an instance of the class, and so are its nested values', async () => {
    const value = await valueOf(Billing, { content: full });
    expect(value).toBeInstanceOf(Billing);
    expect(value.limits).toBeInstanceOf(Limits);
    expect(value.regions[0]).toBeInstanceOf(Region);
    expect({ ...value }).toEqual({
      retryMax: 5,
      x: true,
      password: 's3cret',
      limits: { perMinute: 7, perHour: 1_000 },
      regions: [{ name: 'eu', key: 'k-eu' }],
      currency: 'EUR',
    });
    expect(value.describe()).toBe('5 tries in EUR');
  });

  it('defaults come from @ConfigKey and from initializers', async () => {
    const value = await valueOf(Billing, { content: 'db: { password: p }\nlimits: { perMinute: 1 }' });
    expect(value).toMatchObject({ retryMax: 3, currency: 'EUR', regions: [] });
    expect(value.x).toBeUndefined();
  });

  it('texts become what the property is declared to be, in nested classes too', async () => {
    const content = 'retry.max=5\nfeature.x=false\ndb.password=12345\nlimits.perMinute=7\ncurrency=978';
    const value = await valueOf(Billing, { content, format: 'properties' });
    expect(value).toMatchObject({ retryMax: 5, x: false, password: '12345', currency: '978' });
    expect(value.limits.perMinute).toBe(7);
  });

  it('texts become what the initializer of the property is, when it has no other declaration', async () => {
    @ConfigClass({ namespace: 'billing' })
    class Undeclared {
      @IsInt() port = 80;
      @IsBoolean() isOn = false;
      @IsString() title = 'none';
    }
    const value = await valueOf(Undeclared, {
      content: 'port=81\nisOn=true\ntitle=82',
      format: 'properties',
    });
    expect({ ...value }).toEqual({ port: 81, isOn: true, title: '82' });
  });

  it('texts that are none stay what they are, and are refused', async () => {
    const content = 'retry.max=0x5\nfeature.x=no\ndb.password=p\nlimits.perMinute=';
    await expect(valueOf(Billing, { content, format: 'properties' })).rejects.toMatchObject({
      violations: expect.arrayContaining([
        "retry.max: must be an integer number, is '0x5'",
        "feature.x: must be a boolean value, is 'no'",
        "limits.perMinute: must be an integer number, is ''",
      ]) as unknown,
    });
  });

  it('says everything that is wrong, by its path in the document, and shows no secret', async () => {
    const content = `
retry: { max: 99 }
db: { password: 5 }
limits: { perMinute: 101, perHour: x }
regions: [{ name: 1, key: k }, { name: us, key: 77 }]`;
    const error = await valueOf(Billing, { content }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      key: 'billing',
      violations: [
        'retry.max: must not be greater than 10, is 99',
        'db.password: must be a string',
        'limits.perMinute: must not be greater than 100, is 101',
        "limits.perHour: must be an integer number, is 'x'",
        'regions[0].name: must be a string, is 1',
        'regions[1].key: must be a string',
      ],
    });
    expect(inspect(error)).not.toContain('77');
  });

  it('messages of own rules that contain a secret are replaced', async () => {
    @ConfigClass({ namespace: 'billing' })
    class Strict {
      @Secret() @Matches(/^k-/, { message: 'the key $value does not begin with k-' }) key!: string;
      @Secret()
      @ConfigKey('pair', {
        parse: (raw) => {
          throw new Error(`no pair: ${String(raw)}`);
        },
      })
      pair?: string;
    }
    await expect(valueOf(Strict, { content: 'key: hunter2' })).rejects.toMatchObject({
      violations: ['key: does not satisfy matches'],
    });
    await expect(valueOf(Strict, { content: 'key: k-1\npair: hunter2' })).rejects.toMatchObject({
      violations: ['pair: cannot be parsed'],
    });
  });

  it('is frozen all the way down, and stays out of logs and JSON with its secrets', async () => {
    const value = await valueOf(Billing, { content: full });
    expect(() => Object.assign(value, { retryMax: 1 })).toThrow(TypeError);
    expect(() => Object.assign(value.limits, { perMinute: 1 })).toThrow(TypeError);
    expect(() => value.regions.push(new Region())).toThrow(TypeError);
    expect(() => Object.assign(value.regions[0] ?? {}, { name: 1 })).toThrow(TypeError);
    for (const text of [inspect(value, { depth: 9 }), JSON.stringify(value)]) {
      expect(text).toContain('[redacted]');
      expect(text).toContain('EUR');
      expect(text).not.toContain('s3cret');
      expect(text).not.toContain('k-eu');
    }
    expect(inspect(value)).toContain('Billing {');
    expect(value.password).toBe('s3cret');
  });

  it('a variable of the environment wins over the document', async () => {
    const value = await valueOf(Billing, { content: full }, { environment: { DB_PASSWORD: 'of the pod' } });
    expect(value.password).toBe('of the pod');
  });

  it('parsed values are taken as they are', async () => {
    @ConfigClass({ namespace: 'billing' })
    class Parsed {
      @ConfigKey('url', { parse: (raw) => new URL(String(raw)) }) url!: URL;
      @ConfigKey('ids', { parse: (raw) => new Set(raw as number[]) }) ids!: Set<number>;
    }
    const value = await valueOf(Parsed, { content: 'url: http://a/b\nids: [1, 2]' });
    expect(value.url).toBeInstanceOf(URL);
    expect(value.url.pathname).toBe('/b');
    expect(value.ids.has(2)).toBe(true);
  });

  it('a class that extends another inherits its properties, secrets and namespace, and may change them', async () => {
    class Wider extends Billing {
      @ConfigKey('retry.more') @IsInt() override retryMax = 9;
      @IsString() extra = 'none';
    }
    const wider = await valueOf(Wider, { content: `${full}\nextra: more` });
    expect(wider).toBeInstanceOf(Wider);
    expect(wider).toMatchObject({ retryMax: 9, extra: 'more', currency: 'EUR', password: 's3cret' });
    expect(JSON.stringify(wider)).not.toContain('s3cret');
    const base = await valueOf(Billing, { content: full });
    expect(base).not.toHaveProperty('extra');
    expect(base.retryMax).toBe(5);
    @ConfigClass({ keys: 'cfg/' })
    class Elsewhere extends Billing {}
    const center = new FakeCenter();
    center.store.putKey('cfg/db.password', 'p');
    center.store.putKey('cfg/retry.max', '4');
    const { value } = await center.client().config.ref(Elsewhere);
    expect(value).toMatchObject({ password: 'p', retryMax: 4 });
  });

  it('keeps the last good value, and tells what is wrong with the newer one', async () => {
    const center = new FakeCenter();
    center.publish({ billing: { content: full } });
    const ref = await center.client().config.ref(Billing);
    const before = ref.value;
    center.publish({ billing: { content: full.replace('max: 5', 'max: 11') } });
    await center.clock.settle();
    expect(ref.value).toBe(before);
    expect(center.warnings[0]?.message).toContain('retry.max: must not be greater than 10, is 11');
    center.publish({ billing: { content: full.replace('perMinute: 7', 'perMinute: 8') } });
    const changed: unknown[] = [];
    ref.changes$.subscribe(({ changedKeys }) => changed.push(changedKeys));
    await center.clock.settle();
    expect(changed).toEqual([['limits']]);
  });

  it('refuses a class without a place, or with two', () => {
    expect(() => ConfigClass({})(Limits)).toThrow(
      '@ConfigClass of Limits: give it either a namespace or keys',
    );
    expect(() => ConfigClass({ namespace: 'a', keys: 'b/' })(Limits)).toThrow('either');
  });
});
