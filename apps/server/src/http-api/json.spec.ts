import { createFileRegistry, fromBinary, toJson } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { etcdserverpb, fileDescriptorSet, mvccpb } from '@conclave/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseExactJson } from './exact-json.js';
import { InvalidJson, JsonSplitter, JsonTooLarge } from './json-splitter.js';
import { createMethodCodecs, type MethodCodec } from './message-codec.js';

const codecs = createMethodCodecs();

function codec(path: string): MethodCodec {
  const found = codecs.get(path);
  if (found === undefined) throw new Error(`no codec for ${path}`);
  return found;
}

const limits = { bytesMax: 1_000, depthMax: 5 };
const pushAll = (text: string, chunkBytes: number): string[] => {
  const splitter = new JsonSplitter(limits);
  const bytes = Buffer.from(text);
  const objects: string[] = [];
  for (let at = 0; at < bytes.length; at += chunkBytes)
    objects.push(...splitter.push(bytes.subarray(at, at + chunkBytes)));
  splitter.end();
  return objects;
};

describe('JsonSplitter', () => {
  it('finds the same objects however the bytes are cut into chunks', () => {
    const text = ' {"a":"}{\\"\\\\"}\n\n{"b":[{"ü":1}]}{} ';
    for (const chunkBytes of [1, 2, 3, 7, 1_000]) {
      expect(pushAll(text, chunkBytes)).toEqual(['{"a":"}{\\"\\\\"}', '{"b":[{"ü":1}]}', '{}']);
    }
  });

  it('refuses what is not an object, too deep, too large, cut off or not UTF-8', () => {
    expect(() => pushAll('[1]', 9)).toThrow(/must start with "\{", not "\["/);
    expect(() => pushAll('{} x', 9)).toThrow(InvalidJson);
    expect(() => pushAll('{"a":[[[[[1]]]]]}', 99)).toThrow(/deeper than 5/);
    expect(() => pushAll(`{"a":"${'x'.repeat(1_000)}"}`, 64)).toThrow(JsonTooLarge);
    expect(() => pushAll('{"a":1', 99)).toThrow(/ends within/);
    expect(() => new JsonSplitter(limits).push(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]))).toThrow(/UTF-8/);
  });
});

describe('parseExactJson', () => {
  it('keeps every digit of long integers', () => {
    expect(parseExactJson('{"a":9223372036854775807,"b":[-9007199254740993]}')).toEqual({
      a: '9223372036854775807',
      b: ['-9007199254740993'],
    });
    expect(parseExactJson('[9007199254740993.0, 9.007199254740993e15, 90071992547409930e-1]')).toEqual([
      '9007199254740993',
      '9007199254740993',
      '9007199254740993',
    ]);
  });

  it('leaves strings and short numbers alone', () => {
    const text = '{"a\\"":"9223372036854775807 \\\\","b":1.5,"c":-0,"d":1e3,"e":123456789012345}';
    expect(parseExactJson(text)).toEqual(JSON.parse(text));
  });

  it('refuses what is not JSON', () => {
    for (const text of [
      '{"a":01234567890123456789}',
      '{"a":1234567890123456789x}',
      '{',
      '{"a":"9223372036854775807}',
    ]) {
      expect(() => parseExactJson(text)).toThrow(InvalidJson);
    }
  });

  it('agrees with JSON.parse on everything that a double holds', () => {
    const safe = fc.jsonValue().filter((value) => !/\d{16}|e\+/.test(JSON.stringify(value)));
    fc.assert(
      fc.property(safe, (value) => {
        expect(parseExactJson(JSON.stringify(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
      { numRuns: 200 },
    );
  });
});

describe('encodeRequest', () => {
  it('takes declared and camel case names, enum names and numbers, unknown fields, and 64-bit numbers in both forms', () => {
    const json =
      '{"compare":[{"target":"CREATE","result":0,"key":"Zm9v","createRevision":"9223372036854775807"},' +
      '{"target":2,"key":"Zm9v","mod_revision":9007199254740993}],"success":[{"requestPut":{"key":"Zm9v","prevKv":true}}],"nope":1}';
    const txn = etcdserverpb.TxnRequest.decode(codec('/etcdserverpb.KV/Txn').encodeRequest(json));
    expect(txn.compare[0]?.target_union).toEqual({
      $case: 'create_revision',
      value: 9_223_372_036_854_775_807n,
    });
    expect(txn.compare[1]?.target_union).toEqual({ $case: 'mod_revision', value: 9_007_199_254_740_993n });
    expect(txn.compare[1]?.target).toBe(etcdserverpb.Compare_CompareTarget.MOD);
    expect(txn.success[0]?.request?.$case).toBe('request_put');
  });

  it('refuses values that do not fit their field', () => {
    const put = codec('/etcdserverpb.KV/Put');
    const wrong = [
      '{"lease":1.5}',
      '{"lease":1e400}',
      '{"lease":99999999999999999999}',
      '{"key":"*"}',
      '{"prev_kv":"true"}',
      '{"key":1}',
    ];
    for (const json of wrong) expect(() => put.encodeRequest(json)).toThrow(InvalidJson);
  });
});

describe('JsonWriter', () => {
  const registry = createFileRegistry(
    fromBinary(FileDescriptorSetSchema, Buffer.from(fileDescriptorSet, 'base64')),
  );
  const reference = (typeName: string, bytes: Uint8Array): unknown => {
    const message = registry.getMessage(typeName);
    if (message === undefined) throw new Error(`no message ${typeName}`);
    return toJson(message, fromBinary(message, bytes), { useProtoFieldName: true });
  };

  it("writes as etcd's gateway does", () => {
    const bytes = etcdserverpb.RangeResponse.encode(
      etcdserverpb.RangeResponse.fromPartial({
        header: {
          cluster_id: 14_841_639_068_965_178_418n,
          member_id: 10_276_657_743_932_975_437n,
          revision: 2n,
          raft_term: 3n,
        },
        kvs: [
          {
            key: Buffer.from('foo'),
            value: Buffer.from('bar'),
            create_revision: 2n,
            mod_revision: 2n,
            version: 1n,
            lease: -1n,
          },
        ],
        count: 1n,
      }),
    ).finish();
    expect(codec('/etcdserverpb.KV/Range').responses.write(bytes)).toBe(
      '{"header":{"cluster_id":"14841639068965178418","member_id":"10276657743932975437","revision":"2","raft_term":"3"},' +
        '"kvs":[{"key":"Zm9v","create_revision":"2","mod_revision":"2","version":"1","value":"YmFy","lease":"-1"}],"count":"1"}',
    );
  });

  it('agrees with the reference conversion on generated watch responses', () => {
    const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
    const bytes = fc.uint8Array({ maxLength: 8 }).map((array) => Buffer.from(array));
    const kv = fc.record({
      key: bytes,
      value: bytes,
      create_revision: int64,
      mod_revision: int64,
      version: int64,
      lease: int64,
    });
    const event = fc.record({
      type: fc.constantFrom(mvccpb.Event_EventType.PUT, mvccpb.Event_EventType.DELETE),
      kv,
      prev_kv: fc.option(kv, { nil: undefined }),
    });
    const response = fc.record({
      watch_id: int64,
      created: fc.boolean(),
      canceled: fc.boolean(),
      compact_revision: int64,
      cancel_reason: fc.string({ unit: 'grapheme' }),
      events: fc.array(event, { maxLength: 3 }),
    });
    fc.assert(
      fc.property(response, (message) => {
        const encoded = etcdserverpb.WatchResponse.encode(
          etcdserverpb.WatchResponse.fromPartial(message),
        ).finish();
        const { responses } = codec('/etcdserverpb.Watch/Watch');
        const text = responses.write(encoded);
        expect(JSON.parse(text)).toEqual(reference('etcdserverpb.WatchResponse', encoded));
        expect([...responses.pieces(encoded)].join('')).toBe(text);
      }),
      { numRuns: 300 },
    );
  });

  it('agrees with the reference conversion on texts, small numbers, nested messages and enums', () => {
    const status = etcdserverpb.StatusResponse.encode(
      etcdserverpb.StatusResponse.fromPartial({
        version: '0',
        errors: ['', '0', 'a"b\n'],
        leader: 2n ** 64n - 1n,
        isLearner: true,
      }),
    ).finish();
    const text = codec('/etcdserverpb.Maintenance/Status').responses.write(status);
    expect(JSON.parse(text)).toEqual(reference('etcdserverpb.StatusResponse', status));
    const hash = etcdserverpb.HashKVResponse.encode(
      etcdserverpb.HashKVResponse.fromPartial({ hash: 4_294_967_295 }),
    ).finish();
    expect(codec('/etcdserverpb.Maintenance/HashKV').responses.write(hash)).toBe('{"hash":4294967295}');
    const alarm = etcdserverpb.AlarmResponse.encode(
      etcdserverpb.AlarmResponse.fromPartial({
        alarms: [{ memberID: 1n, alarm: etcdserverpb.AlarmType.NOSPACE }, {}],
      }),
    ).finish();
    expect(codec('/etcdserverpb.Maintenance/Alarm').responses.write(alarm)).toBe(
      '{"alarms":[{"memberID":"1","alarm":"NOSPACE"},{}]}',
    );
    const txn = etcdserverpb.TxnResponse.encode(
      etcdserverpb.TxnResponse.fromPartial({
        succeeded: true,
        responses: [{ response: { $case: 'response_put', value: {} } }],
      }),
    ).finish();
    expect(codec('/etcdserverpb.KV/Txn').responses.write(txn)).toBe(
      '{"succeeded":true,"responses":[{"response_put":{}}]}',
    );
  });
});
