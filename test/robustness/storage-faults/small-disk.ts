import { execFile, spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/**
 * A small file system in a file. It is mounted anew for every process, in a mount namespace of the process's own, so
 * that nothing is left mounted when the process is gone.
 */
export class SmallDisk {
  private readonly folder = mkdtempSync(join(tmpdir(), 'conclave-disk-'));
  private readonly image = join(this.folder, 'image');
  /** Where the process in the namespace sees it. */
  readonly directory = join(this.folder, 'mounted');

  constructor(megabytes = 64) {
    mkdirSync(this.directory);
    const file = openSync(this.image, 'w');
    ftruncateSync(file, megabytes << 20);
    closeSync(file);
    const made = spawnSync('mkfs.ext4', ['-q', '-m', '0', this.image], { encoding: 'utf8' });
    if (made.status !== 0) throw new Error(`mkfs.ext4 failed: ${made.error?.message ?? made.stderr}`);
  }

  /** The command in front of a process that shall see the disk; it keeps its process id. */
  get wrapper(): string[] {
    // The kernel lets go of the mount of a process that was killed a little later.
    const mount = `for i in 1 2 3 4 5 6 7 8; do mount -o loop '${this.image}' '${this.directory}' && break; sleep 0.1; done`;
    const script = `${mount}; mountpoint -q '${this.directory}' && exec "$@"`;
    return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh'];
  }

  /** Uses up all space, from within the process `pid` that sees the disk. */
  async fill(pid: number): Promise<void> {
    const file = `'${join(this.directory, 'filler')}'`;
    const free = `$(df --output=avail -B1 '${this.directory}' | tail -1)`;
    // What cannot be had in one piece is had in small ones.
    const rest = `dd if=/dev/zero of=${file} oflag=append conv=notrunc bs=4k`;
    const script = `fallocate -l ${free} ${file}; ${rest}; sync -f ${file}; true`;
    const [command, ...args] = beside(pid);
    await promisify(execFile)(command, [...args, 'sh', '-c', script]);
  }

  /** Undoes `fill`; while no process sees the disk by itself. */
  async clear(pid: number | undefined): Promise<void> {
    const removal = ['rm', '-f', join(this.directory, 'filler')];
    const [command, ...args] = pid === undefined ? this.wrapper : beside(pid);
    await promisify(execFile)(command, [...args, ...removal]);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** The command in front of one that shall see the files of a process. */
function beside(pid: number): string[] {
  return ['nsenter', `--mount=/proc/${pid}/ns/mnt`, '--'];
}

/** Whether a disk can be made and mounted here. */
export function canMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false;
  let disk: SmallDisk;
  try {
    disk = new SmallDisk();
  } catch {
    return false;
  }
  const [command, ...args] = disk.wrapper;
  const { status } = spawnSync(command, [...args, 'true'], { stdio: 'ignore' });
  disk.remove();
  return status === 0;
}
