import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const megabytes = 64;

/**
 * A file system of 64 MB in a file. It is mounted anew for every process, in a mount namespace of the process's own, so
 * that nothing is left mounted when the process is gone.
 */
export class SmallDisk {
  private readonly folder = mkdtempSync(join(tmpdir(), 'conclave-disk-'));
  private readonly image = join(this.folder, 'image');
  /** Where the process in the namespace sees it. */
  readonly directory = join(this.folder, 'mounted');

  constructor() {
    mkdirSync(this.directory);
    const file = openSync(this.image, 'w');
    ftruncateSync(file, megabytes << 20);
    closeSync(file);
    const made = spawnSync('mkfs.ext4', ['-q', '-m', '0', this.image], { encoding: 'utf8' });
    if (made.status !== 0) throw new Error(`mkfs.ext4 failed: ${made.error?.message ?? made.stderr}`);
  }

  /** The command in front of a process that shall see the disk; it keeps its process id. */
  get wrapper(): string[] {
    const script = `mount -o loop '${this.image}' '${this.directory}' && exec "$@"`;
    return ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', script, 'sh'];
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
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
