import { assert } from './assert.js';
import { baseName, DiskError, parentPath, type DiskOperation } from './disk.js';
import { type Random } from './random.js';
import { SimulatedInode, type CrashChoice } from './simulated-disk-inode.js';

/** A change of entries that is not durable yet. */
type EntryChange =
  | { readonly kind: 'create' | 'remove'; readonly name: string; readonly inode: SimulatedInode }
  | { readonly kind: 'rename'; readonly name: string; readonly to: string; readonly inode: SimulatedInode };

type Entries = Map<string, SimulatedInode>;

/** Invariant: `cached` is `durable` with all of `pending` applied, in order. */
interface Directory {
  cached: Entries;
  durable: Entries;
  pending: EntryChange[];
}

/** Applies a change; skipped when an earlier change that it builds on was lost. */
function apply(entries: Entries, change: EntryChange): void {
  if (change.kind === 'create') {
    entries.set(change.name, change.inode);
    return;
  }
  if (entries.get(change.name) !== change.inode) return;
  entries.delete(change.name);
  if (change.kind === 'rename') entries.set(change.to, change.inode);
}

/** The files of a simulated disk: what is cached, what is durable, and what lies between. Pure state, without time. */
export class DiskModel {
  private readonly directories = new Map<string, Directory>();

  list(path: string): string[] {
    return [...this.directory(path, 'list').cached.keys()].sort();
  }

  makeDirectory(path: string): void {
    if (this.directories.has(path)) return;
    this.directories.set(path, { cached: new Map(), durable: new Map(), pending: [] });
  }

  find(path: string, operation: DiskOperation): SimulatedInode {
    const inode = this.directory(parentPath(path), operation).cached.get(baseName(path));
    if (inode === undefined) throw new DiskError(operation, path, 'ENOENT');
    return inode;
  }

  create(path: string): SimulatedInode {
    const directory = this.directory(parentPath(path), 'open');
    const name = baseName(path);
    if (directory.cached.has(name)) throw new DiskError('open', path, 'EEXIST');
    const inode = new SimulatedInode();
    this.change(directory, { kind: 'create', name, inode });
    return inode;
  }

  rename(from: string, to: string): void {
    assert(parentPath(from) === parentPath(to), 'a rename stays in its directory');
    const inode = this.find(from, 'rename');
    const directory = this.directory(parentPath(from), 'rename');
    this.change(directory, { kind: 'rename', name: baseName(from), to: baseName(to), inode });
  }

  remove(path: string): void {
    const inode = this.find(path, 'remove');
    this.change(this.directory(parentPath(path), 'remove'), { kind: 'remove', name: baseName(path), inode });
  }

  syncDirectory(path: string): void {
    const directory = this.directory(path, 'sync directory');
    directory.durable = new Map(directory.cached);
    directory.pending = [];
  }

  /** Bytes of all files. */
  get usedBytes(): number {
    let bytes = 0;
    for (const { cached } of this.directories.values())
      for (const inode of cached.values()) bytes += inode.size;
    return bytes;
  }

  /** Changes that a crash now may lose or keep: sectors, and entries of directories. */
  get pendingChanges(): number {
    let changes = 0;
    for (const { cached, pending } of this.directories.values()) {
      changes += pending.length;
      for (const inode of cached.values()) changes += inode.dirtySectors;
    }
    return changes;
  }

  /** The model after a power loss. With `random`, sectors that held nothing may come back as garbage. */
  crash(choose: CrashChoice, random?: Random): DiskModel {
    return this.copy(
      (inode) => inode.crash(choose, random),
      (change) => choose(2) === 1 && change !== undefined,
    );
  }

  /** An independent copy: also what a new process finds when the old one was killed and the machine lives. */
  clone(): DiskModel {
    return this.copy((inode) => inode.clone(), undefined);
  }

  private copy(
    copyInode: (inode: SimulatedInode) => SimulatedInode,
    survives: ((change: EntryChange) => boolean) | undefined,
  ): DiskModel {
    const model = new DiskModel();
    const copies = new Map<SimulatedInode, SimulatedInode>();
    const copied = (inode: SimulatedInode): SimulatedInode => {
      let copy = copies.get(inode);
      if (copy === undefined) copies.set(inode, (copy = copyInode(inode)));
      return copy;
    };
    for (const [path, directory] of this.directories) {
      let entries = directory.durable;
      let pending = directory.pending;
      if (survives !== undefined) {
        entries = new Map(entries);
        for (const change of pending) if (survives(change)) apply(entries, change);
        pending = [];
      }
      const durable = new Map([...entries].map(([name, inode]) => [name, copied(inode)]));
      const changes = pending.map((change) => ({ ...change, inode: copied(change.inode) }));
      const cached = new Map(durable);
      for (const change of changes) apply(cached, change);
      model.directories.set(path, { cached, durable, pending: changes });
    }
    return model;
  }

  private change(directory: Directory, change: EntryChange): void {
    directory.pending.push(change);
    apply(directory.cached, change);
  }

  private directory(path: string, operation: DiskOperation): Directory {
    const directory = this.directories.get(path);
    if (directory === undefined) throw new DiskError(operation, path, 'ENOENT');
    return directory;
  }
}
