import { describe, expect, it } from 'vitest';
import { SimulatedInode, type CrashChoice } from './simulated-disk-inode.js';
import { DiskModel } from './simulated-disk-model.js';
import { SimulatedDisk, type DiskFault } from './simulated-disk.js';

const random = { below: (bound: number) => bound - 1, uint64: () => 0n };
const newDisk = (model?: DiskModel): SimulatedDisk =>
  new SimulatedDisk({
    schedule: (_effect, callback) => queueMicrotask(callback),
    random,
    ...(model && { model }),
  });

/** All contents that a crash can leave, as the first byte of each sector; `-` for a file that is shorter. */
function outcomes(inode: SimulatedInode, sectors: number): Set<string> {
  const found = new Set<string>();
  let digits: number[] = [];
  for (;;) {
    const limits: number[] = [];
    const choose: CrashChoice = (options) => (digits[limits.push(options) - 1] ??= 0);
    const survivor = inode.crash(choose, undefined);
    const content = Array.from({ length: sectors }, (_, i) => survivor.read(i * 512, 1)[0] ?? '-');
    found.add(content.join(''));
    let place = limits.length - 1;
    while (place >= 0 && digits[place]! + 1 >= limits[place]!) place--;
    if (place < 0) return found;
    digits = [...digits.slice(0, place), digits[place]! + 1];
  }
}

const sector = (value: number, count = 1): Uint8Array => new Uint8Array(512 * count).fill(value);

describe('a simulated file', () => {
  it('keeps any subset of unsynced sectors, in any version they had', () => {
    const inode = new SimulatedInode();
    inode.write(0, sector(1, 2));
    inode.sync();
    expect(outcomes(inode, 2)).toEqual(new Set(['11']));
    inode.write(0, sector(2, 2));
    expect(outcomes(inode, 2)).toEqual(new Set(['11', '12', '21', '22']));
    inode.write(0, sector(3));
    expect(outcomes(inode, 2)).toEqual(new Set(['11', '12', '21', '22', '31', '32']));
    inode.sync();
    expect(outcomes(inode, 2)).toEqual(new Set(['32']));
  });

  it('may have its size before or after its data', () => {
    const inode = new SimulatedInode();
    inode.write(0, sector(4));
    expect(outcomes(inode, 1)).toEqual(new Set(['-', '0', '4']));
    inode.sync();
    inode.truncate(0);
    expect(outcomes(inode, 1)).toEqual(new Set(['-', '0', '4']));
    inode.sync();
    expect(outcomes(inode, 1)).toEqual(new Set(['-']));
  });

  it('shows what a failed sync has lost, and the next sync succeeds without writing it', () => {
    const inode = new SimulatedInode();
    inode.write(0, sector(1));
    inode.sync();
    inode.write(0, sector(2));
    inode.failSync(() => 0);
    expect(inode.read(0, 1)[0]).toBe(2);
    inode.sync();
    expect(inode.read(0, 1)[0]).toBe(2);
    expect(outcomes(inode, 1)).toEqual(new Set(['1']));
  });

  it('turns only sectors that held nothing into garbage', () => {
    const inode = new SimulatedInode();
    inode.write(0, sector(1));
    inode.write(512, sector(0));
    inode.sync();
    inode.write(0, sector(2, 2));
    const survivor = inode.crash((options) => options - 1, random);
    expect(survivor.read(0, 1)[0]).toBe(2);
    expect(new Set(survivor.read(512, 512)).size).toBeGreaterThan(50);
  });
});

describe('simulated directories', () => {
  const state = (model: DiskModel): string => model.list('/d').join(',');

  it('lose and keep unsynced entries independently, and renames as a whole', () => {
    const model = new DiskModel();
    model.makeDirectory('/d');
    model.create('/d/a');
    model.syncDirectory('/d');
    model.create('/d/b');
    model.rename('/d/a', '/d/c');
    expect(state(model)).toBe('b,c');
    const found = new Set<string>();
    for (let bits = 0; bits < 4; bits++) {
      let asked = 0;
      found.add(state(model.crash((options) => (options === 2 ? (bits >> asked++) & 1 : 0))));
    }
    expect(found).toEqual(new Set(['a', 'a,b', 'c', 'b,c']));
    model.syncDirectory('/d');
    expect(state(model.crash(() => 0))).toBe('b,c');
  });

  it('are as they were for a process that follows a killed one', () => {
    const model = new DiskModel();
    model.makeDirectory('/d');
    model.create('/d/a').write(0, sector(1));
    const next = model.clone();
    expect(state(next)).toBe('a');
    expect(state(next.crash(() => 0))).toBe('');
    model.remove('/d/a');
    expect(state(next)).toBe('a');
  });
});

describe('faults of a simulated disk', () => {
  async function withFault(
    fault: DiskFault,
    operation: string,
  ): Promise<{ disk: SimulatedDisk; effects: string[] }> {
    const disk = newDisk();
    const effects: string[] = [];
    await disk.makeDirectory('/d');
    let armed = true;
    disk.faultOf = (effect) => {
      if (!armed || effect.operation !== operation) return undefined;
      armed = false;
      return fault;
    };
    disk.onEffect = (effect) => effects.push(`${effect.operation} ${effect.offset ?? ''}`.trim());
    return { disk, effects };
  }

  it('fail an effect once, with its code and place', async () => {
    const { disk } = await withFault({ kind: 'error', code: 'EIO' }, 'sync');
    const file = await disk.open('/d/x', 'create');
    await file.write(0, sector(1));
    await expect(file.sync()).rejects.toMatchObject({ operation: 'sync', path: '/d/x', code: 'EIO' });
    await file.sync();
  });

  it('cut a write short, which then takes two effects', async () => {
    const { disk, effects } = await withFault({ kind: 'short', bytes: 100 }, 'write');
    const file = await disk.open('/d/x', 'create');
    await file.write(8, sector(1));
    expect(effects).toEqual(['open', 'write 8', 'write 108']);
    expect(await file.size()).toBe(520);
  });

  it('flip a bit of a read, not of what is stored', async () => {
    const { disk } = await withFault({ kind: 'flip', offset: 3, bit: 0 }, 'read');
    const file = await disk.open('/d/x', 'create');
    await file.write(0, sector(4));
    expect((await file.read(0, 4))[3]).toBe(5);
    expect((await file.read(0, 4))[3]).toBe(4);
  });

  it('run out of space, with what fitted written', async () => {
    const disk = newDisk();
    disk.capacityBytes = 1000;
    await disk.makeDirectory('/d');
    const file = await disk.open('/d/x', 'create');
    await expect(file.fill(0, 1500)).rejects.toMatchObject({ code: 'ENOSPC', isNoSpace: true, offset: 1000 });
    expect(await file.size()).toBe(1000);
    await file.write(0, sector(1));
    await disk.remove('/d/x');
    const other = await disk.open('/d/y', 'create');
    await other.fill(0, 1000);
  });

  it('end everything at a crash: nothing takes place, and nobody hears anything', async () => {
    const disk = newDisk();
    await disk.makeDirectory('/d');
    const file = await disk.open('/d/x', 'create');
    let heard = false;
    void file.write(0, sector(1)).then(() => (heard = true));
    disk.crash();
    for (let i = 0; i < 20; i++) await Promise.resolve();
    expect(heard).toBe(false);
    expect(disk.model.find('/d/x', 'read').size).toBe(0);
  });
});
