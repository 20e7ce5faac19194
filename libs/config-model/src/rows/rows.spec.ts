import { describe, expect, it } from 'vitest';
import { type ConfigModelError } from '../error.js';
import { decodeCurrent, encodeCurrent } from './current-row.js';
import { type DocumentHead } from './document-head.js';
import { decodeGray, encodeGray, type GrayRow } from './gray-row.js';
import { decodeInstance, encodeInstance } from './instance-row.js';
import { decodeRelease, encodeRelease } from './release-row.js';

const head: DocumentHead = {
  release: 9007199254740993n,
  sha256: 'ab'.repeat(32),
  format: 'yaml',
  extends: [{ app: 'base', namespace: 'Public Defaults' }],
  group: [
    { app: 'shop', namespace: 'billing' },
    { app: 'shop', namespace: 'limits' },
  ],
  content: 'a: 1\n',
};

describe('rows', () => {
  it('keep everything, 64-bit numbers included', () => {
    expect(decodeCurrent(encodeCurrent(head))).toEqual(head);
    const byReference = { ...head, content: undefined, extends: [], group: [] };
    expect(decodeCurrent(encodeCurrent(byReference))).toEqual(byReference);
    const gray: GrayRow = {
      ...head,
      priority: -3,
      match: {
        labels: { zone: ['a', 'b'] },
        addresses: ['10.0.0.0/8'],
        instances: ['i'],
        percentage: { share: 12.5, salt: 's', by: 'pod' },
      },
    };
    expect(decodeGray(encodeGray(gray), 'r')).toEqual(gray);
    const release = {
      number: 7n,
      sha256: head.sha256,
      format: 'text' as const,
      extends: [],
      content: 'x',
      author: 'ann',
      comment: '',
      createdAt: 1,
      basedOn: 6n,
    };
    expect(decodeRelease(encodeRelease(release))).toEqual(release);
    const instance = {
      sdk: '0.1.0',
      labels: { zone: 'a' },
      address: '10.0.0.1',
      namespaces: new Map([
        [
          'shop/billing',
          { state: 'rejected' as const, release: 2n ** 60n, sha256: '', gray: 'g', error: 'why' },
        ],
      ]),
    };
    expect(decodeInstance(encodeInstance(instance))).toEqual(instance);
  });

  it('are written in the format of version 1', () => {
    expect(encodeCurrent({ ...head, extends: [], content: 'x' })).toBe(
      `{"version":1,"release":"9007199254740993","sha256":"${head.sha256}","format":"yaml","group":["shop/billing","shop/limits"],"content":"x"}`,
    );
  });

  it('of a newer version are refused with the remedy', () => {
    const text = encodeCurrent(head).replace('"version":1', '"version":2');
    const refused = (): unknown => decodeCurrent(text);
    expect(refused).toThrow('has format version 2, this program reads up to 1; upgrade @conclave/client');
    try {
      refused();
    } catch (error) {
      expect((error as ConfigModelError).code).toBe('newer-format');
    }
  });

  it.each([
    ['no JSON', 'is not JSON'],
    ['[]', 'is not a JSON object'],
    ['{}', "the field 'version' is not a whole number from 1 on"],
    ['{"version":1}', "the field 'sha256'"],
    [
      encodeCurrent(head).replace('"yaml"', '"toml"'),
      "the field 'format' is not one of properties, json, yaml, text",
    ],
    [
      encodeCurrent(head).replace('"9007199254740993"', '9'),
      "the field 'release' is not a decimal number as text",
    ],
    [encodeCurrent(head).replace('shop/limits', 'limits'), 'does not name a namespace'],
  ])('refuses %s', (text, message) => {
    expect(() => decodeCurrent(text)).toThrow(message);
  });

  it.each([
    [{}, 'has no condition'],
    [{ regex: '.*' }, "the condition 'regex' is not known"],
    [{ addresses: ['10.0.0.1/8'] }, "'10.0.0.1/8' is neither an address nor a block"],
    [{ percentage: { share: 101 } }, '101 is not a percentage'],
    [{ percentage: { share: 0.001 } }, '0.001 is not a percentage'],
    [{ percentage: {} }, 'percentage.share is not a number'],
    [{ labels: { zone: 'a' } }, 'labels.zone is not a list of texts'],
    [{ labels: {} }, 'labels names no label'],
  ])('refuses the gray rule %j', (match, message) => {
    const text = encodeGray({ ...head, priority: 1, match: match as never });
    expect(() => decodeGray(text, 'r')).toThrow(message);
  });
});
