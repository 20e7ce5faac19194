import type { ApplyResult } from '../apply/apply-result.js';
import { commandHeaderBytes, CommandKind } from '../apply/command.js';
import { doublingBuckets, type Histogram, type Meter } from '../platform/meter.js';
import type { Entry } from '../raft/message.js';

/** 0.1 ms to 52 s, doubling, as etcd's. */
const buckets = doublingBuckets(0.0001, 20);
const help = 'The latency distributions of v3 apply called by backend.';

/** How etcd calls the commands that it names differently. */
const etcdNames: Readonly<Partial<Record<CommandKind, string>>> = {
  [CommandKind.Compact]: 'Compaction',
  [CommandKind.LeaseExpire]: 'LeaseRevoke',
  [CommandKind.ClusterVersion]: 'ClusterVersionSet',
  [CommandKind.MemberAttributes]: 'ClusterMemberAttrSet',
};

/** How long commands take to be applied, by command and outcome; asked for by number on the path of every put. */
export class ApplyDurations {
  /** By twice the kind, and one more where the command was refused. */
  private readonly histograms: (Histogram | undefined)[] = [];

  constructor(private readonly meter: Meter) {}

  observe({ kind, data }: Entry, { error }: ApplyResult, milliseconds: number): void {
    // Changes of the members and the empty entry of a term are no commands.
    if (kind !== 'normal' || data.length < commandHeaderBytes) return;
    const slot = 2 * (data[1] as number) + (error === undefined ? 0 : 1);
    const histogram = (this.histograms[slot] ??= this.histogramOf(
      data[1] as CommandKind,
      error === undefined,
    ));
    histogram.observe(milliseconds / 1_000);
  }

  private histogramOf(kind: CommandKind, isSuccess: boolean): Histogram {
    const op = etcdNames[kind] ?? CommandKind[kind];
    const labels = { version: 'v3', op, success: String(isSuccess) };
    return this.meter.histogram('etcd_server_apply_duration_seconds', help, buckets, labels);
  }
}
