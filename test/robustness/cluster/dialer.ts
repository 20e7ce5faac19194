import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/**
 * The process that made a TCP connection on 127.0.0.1, as the kernel's tables have it: an incoming connection between
 * members does not show who calls, for both sides are the same machine.
 *
 * @param from The port of the caller. @param to The port that was called. @param pids The processes in question, by name.
 * @returns undefined when none of them has it any more.
 */
export function dialerOf(from: number, to: number, pids: ReadonlyMap<string, number>): string | undefined {
  const inode = inodeOf(from, to);
  if (inode === undefined) return undefined;
  for (const [name, pid] of pids) if (holds(pid, inode)) return name;
  return undefined;
}

function inodeOf(from: number, to: number): string | undefined {
  const [local, remote] = [from, to].map((port) => port.toString(16).toUpperCase().padStart(4, '0'));
  for (const line of readFileSync('/proc/net/tcp', 'latin1').split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/);
    if (fields[1] === `0100007F:${local}` && fields[2] === `0100007F:${remote}`) return fields[9];
  }
  return undefined;
}

function holds(pid: number, inode: string): boolean {
  const folder = `/proc/${pid}/fd`;
  try {
    return readdirSync(folder).some((name) => linkOf(`${folder}/${name}`) === `socket:[${inode}]`);
  } catch {
    return false; // It has ended meanwhile.
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined; // It was closed meanwhile.
  }
}
