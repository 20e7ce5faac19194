import { describe, expect, it } from 'vitest';
import { FakeCenter } from '../../config/testing/fake-center.js';
import { ConfigClass, ConfigKey, Secret } from './decorators.js';
import { type StandardSchema } from './standard-schema.js';

/** Of a library's kind: `max` is an integer up to 10, or a text of one; the key is refused when it is short. */
const schema: StandardSchema = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (input) => {
      const { max, key = 'none', ...rest } = input as Record<string, unknown>;
      const issues = [];
      if (!(Number(max) <= 10)) issues.push({ message: 'too large', path: ['max'] });
      if (String(key).length < 4)
        issues.push({ message: `'${String(key)}' is short`, path: [{ key: 'key' }] });
      return issues.length > 0 ? { issues } : { value: { ...rest, max: Number(max), key } };
    },
  },
};

@ConfigClass({ namespace: 'billing', schema })
class Billing {
  @ConfigKey('retry.max') max!: number;
  @Secret() key = 'none';
}

describe('config classes with a schema', () => {
  const refOf = (content: string, configClass: new () => object = Billing) => {
    const center = new FakeCenter();
    center.publish({ billing: { content } });
    return center.client().config.ref(configClass);
  };

  it('are instances of the class with what the schema made', async () => {
    const { value } = await refOf('retry: { max: "7" }\nkey: secret-1');
    expect(value).toBeInstanceOf(Billing);
    expect({ ...value }).toEqual({ max: 7, key: 'secret-1' });
    expect(JSON.stringify(value)).toBe('{"max":7,"key":"[redacted]"}');
  });

  it('say what is wrong by the path in the document, without secrets', async () => {
    await expect(refOf('retry: { max: 11 }\nkey: abc')).rejects.toMatchObject({
      violations: ['retry.max: too large', 'key: does not satisfy its schema'],
    });
  });

  it('without properties the schema is given the document', async () => {
    @ConfigClass({ namespace: 'billing', schema })
    class Whole {}
    expect((await refOf('max: 3\nother: { a: 1 }', Whole)).value).toEqual({
      max: 3,
      key: 'none',
      other: { a: 1 },
    });
  });

  it('refuse what is asynchronous', async () => {
    const later: StandardSchema = {
      '~standard': { version: 1, vendor: 'test', validate: (value) => Promise.resolve({ value }) },
    };
    @ConfigClass({ namespace: 'billing', schema: later })
    class Later {}
    await expect(refOf('a: 1', Later)).rejects.toThrow('the schema of Later is asynchronous');
  });
});
