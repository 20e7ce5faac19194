import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { hasProgram, type MemberKind, repositoryRoot } from '../../members/member-process.js';

/** The servers that the suites of this folder run against; CLIENT_TARGETS=etcd,conclave chooses. */
export const targets: readonly MemberKind[] = chosen();

/** What takes long on each server runs on one of them in the quick share, our own when it is built, and on both in full runs. */
export const quickTargets: readonly MemberKind[] =
  process.env['CONCLAVE_FULL'] === '1' || !targets.includes('conclave') ? targets : ['conclave'];

/** etcdctl is both a peer to contend with and a second witness of what is stored. */
export const hasEtcdctl = hasProgram('etcdctl');

function chosen(): readonly MemberKind[] {
  const wanted = process.env['CLIENT_TARGETS']?.split(',');
  const available: MemberKind[] = [];
  if (hasProgram('etcd')) available.push('etcd');
  const built = ['bin/conclave', 'apps/server/dist/main.js'].every((path) =>
    existsSync(join(repositoryRoot, path)),
  );
  if (built) available.push('conclave');
  return wanted === undefined ? available : available.filter((kind) => wanted.includes(kind));
}
