import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { type ConclaveClient } from '@conclave/client';
import { type FakeConclave, fakeConclave } from '@conclave/client/testing';
import { currentKey, decodeCurrent, grayKey, releaseKey } from '@conclave/config-model';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FolderService } from './folder-service.js';

const billing = { env: 'dev', app: 'shop', namespace: 'billing' };

describe('a served folder', () => {
  let folder: string;
  let conclave: FakeConclave;
  let client: ConclaveClient;
  let lines: string[];
  let service: FolderService;

  const start = (): FolderService =>
    new FolderService(client, { folder, env: 'dev', print: (line) => lines.push(line), wall: () => 0 });
  const save = (file: string, content: string | Uint8Array): void => {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), content);
  };
  /** What one look printed. */
  const look = async (isFirst = false): Promise<readonly string[]> => {
    lines = [];
    await service.look(isFirst);
    return lines.map((line) => line.replaceAll(folder, '<folder>'));
  };
  const current = async (id = billing) => {
    const entry = await client.kv.get(currentKey(id));
    return entry === null ? null : decodeCurrent(entry.value.toString());
  };

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'conclave-dev-'));
    conclave = fakeConclave();
    client = conclave.client();
    service = start();
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('releases every document, those of one environment together', async () => {
    save('shop/billing.yaml', 'retry:\n  max: 3\n');
    save('shop/greeting.txt', 'hello');
    save('shop/prod/billing.properties', 'retry.max=9\n');
    expect(await look(true)).toEqual([
      'published  dev/shop/billing  release 1  (shop/billing.yaml): 1 key',
      'published  dev/shop/greeting  release 1  (shop/greeting.txt): 1 key',
      'published  prod/shop/billing  release 1  (shop/prod/billing.properties): 1 key',
    ]);
    expect(await current()).toMatchObject({
      release: 1n,
      format: 'yaml',
      content: 'retry:\n  max: 3\n',
      group: [
        { app: 'shop', namespace: 'billing' },
        { app: 'shop', namespace: 'greeting' },
      ],
    });
    expect((await client.kv.range('/conclave/releases/', { prefix: true })).count).toBe(3n);
    const group = await client.kv.range('/conclave/config/dev/', { prefix: true });
    expect(new Set(group.entries.map(({ modRevision }) => modRevision)).size).toBe(1);
  });

  it('tells the keys that a save changed, and never values', async () => {
    save('shop/billing.json', '{"a": 1, "secret": "x", "gone": 1}');
    await look(true);
    save('shop/billing.json', '{"a": 2, "secret": "y", "fresh": [1]}');
    expect(await look()).toEqual([
      'published  dev/shop/billing  release 2  (shop/billing.json): changed a, secret; added fresh; removed gone',
    ]);
    expect(await look()).toEqual([]);
    expect((await current())?.release).toBe(2n);
  });

  it('keeps the last good release of a file that cannot be read, and says where and what to do', async () => {
    save('shop/billing.yaml', 'a: 1\n');
    await look(true);
    save('shop/billing.yaml', 'a: 1\nb: [1\n');
    const [line, ...others] = await look();
    expect(line).toMatch(
      /^mistake {4}<folder>\/shop\/billing\.yaml:\d+:\d+: .*; put it right and save it \(release 1 stays in force\)$/,
    );
    expect(others).toEqual([]);
    expect(await look()).toEqual([]);
    expect((await current())?.content).toBe('a: 1\n');
    save('shop/billing.yaml', 'a: 1\nb: [1]\n');
    expect(await look()).toEqual([
      'published  dev/shop/billing  release 2  (shop/billing.yaml): added b',
      'right now  shop/billing.yaml',
    ]);
  });

  it('tells every file that is not where or what it must be', async () => {
    save('README.md', '');
    save('shop/billing.xml', '');
    save('shop/Billing.yaml', '');
    save('shop/a/b/c.yaml', '');
    save('shop/big.txt', 'x'.repeat(600_000));
    save('shop/binary.txt', Uint8Array.of(0xff, 0xfe));
    save('shop/two.yaml', 'a: 1');
    save('shop/two.json', '{}');
    for (const leftover of ['.billing.yaml.swp', 'billing.yaml~', '4913', '#billing.yaml#'])
      save(`shop/${leftover}`, '');
    const printed = (await look(true)).join('\n');
    for (const expected of [
      'README.md: its ending is none of a document; name it with one of .yaml, .yml, .json, .properties, .txt',
      'billing.xml: its ending',
      "Billing.yaml: 'Billing' is no name of a namespace; use 1 to 63",
      'c.yaml: no app and environment follow from its place; put it at <app>/<namespace>',
      'big.txt: it has 600000 bytes; a document has at most 524288',
      'binary.txt: it is not UTF-8 text; save it as UTF-8 (nothing of it is served)',
      'two.json: shop/two.yaml is the same namespace; keep one of them',
    ]) {
      expect(printed).toContain(expected);
    }
    expect(printed.split('\n')).toHaveLength(7);
    expect((await client.kv.range('/conclave/', { prefix: true })).count).toBe(0n);
  });

  it('withdraws a namespace whose file is gone, and counts on when it comes back', async () => {
    save('shop/billing.yaml', 'a: 1');
    await look(true);
    await client.kv.put(grayKey(billing, 'canary'), 'anything');
    renameSync(join(folder, 'shop/billing.yaml'), join(folder, 'shop/other.yaml'));
    expect(await look()).toEqual([
      'published  dev/shop/other  release 1  (shop/other.yaml): 1 key',
      'withdrawn  dev/shop/billing  (its file is gone; release 1 was in force)',
    ]);
    expect((await client.kv.range('/conclave/config/dev/shop/billing/', { prefix: true })).count).toBe(0n);
    expect(await client.kv.get(releaseKey(billing, 1n))).not.toBeNull();
    save('shop/billing.yaml', 'a: 1');
    expect(await look()).toEqual(['published  dev/shop/billing  release 2  (shop/billing.yaml): 1 key']);
  });

  it('goes on with the data of an earlier run, and leaves alone what others released', async () => {
    save('shop/billing.yaml', 'a: 1');
    save('shop/gone.yaml', 'a: 1');
    await look(true);
    const theirs = { ...billing, namespace: 'theirs' };
    const release = await client.kv.get(releaseKey(billing, 1n));
    const value = release!.value.toString().replace('conclave dev', 'ann');
    await client.kv.put(releaseKey(theirs, 1n), value);
    await client.kv.put(currentKey(theirs), (await client.kv.get(currentKey(billing)))!.value);
    rmSync(join(folder, 'shop/gone.yaml'));
    service = start();
    expect(await look(true)).toEqual([
      'unchanged  dev/shop/billing  release 1  (shop/billing.yaml): 1 key',
      'withdrawn  dev/shop/gone  (its file is gone; release 1 was in force)',
    ]);
    expect(await current(theirs)).not.toBeNull();
  });

  it('releases more than 25 namespaces in several releases', async () => {
    for (let i = 0; i < 30; i += 1) save(`shop/n${i}.yaml`, 'a: 1');
    expect(await look(true)).toHaveLength(30);
    const { entries } = await client.kv.range('/conclave/config/', { prefix: true });
    expect(new Set(entries.map(({ modRevision }) => modRevision)).size).toBe(2);
  });

  it('says once that the store or the folder cannot be reached, and goes on afterwards', async () => {
    save('shop/billing.yaml', 'a: 1');
    await look(true);
    save('shop/billing.yaml', 'a: 2');
    conclave.partition();
    lines = [];
    let isOver = false;
    void service.look().then(() => (isOver = true));
    // The files are read in real time, and only then the store's timeout begins.
    while (!isOver) await conclave.advance('1s');
    expect(lines).toEqual([expect.stringMatching(/^trouble {4}.*no member could be reached; trying again$/)]);
    conclave.heal();
    expect(await look()).toEqual([
      'published  dev/shop/billing  release 2  (shop/billing.yaml): changed a',
      'going on',
    ]);
  });
});
