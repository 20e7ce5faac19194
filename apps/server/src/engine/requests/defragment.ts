import { doublingBuckets } from '../platform/meter.js';
import type { UnaryMethod } from './method.js';
import type { RequestParts } from './request-parts.js';
import { unary } from './unary.js';

/** As etcd's. */
const defragmentBuckets = doublingBuckets(0.1, 13);

/**
 * Maintenance.Defragment. The store uses its free pages again and never has to be rewritten; its file does not shrink. What
 * is of use to who asks is done: the answer comes when the history of the compactions so far is gone from the file and
 * everything applied is written to it, so that Status tells the space that is really in use. Everything goes on
 * meanwhile.
 *
 * The answer has no header, as etcd's.
 */
export function defragmentMethod(parts: RequestParts): UnaryMethod {
  const { meter, clock, compactor } = parts;
  const help = 'The latency distribution of backend defragmentation.';
  const durations = meter.histogram('etcd_disk_backend_defrag_duration_seconds', help, defragmentBuckets);
  let inFlight = 0;
  meter.observed(
    'etcd_disk_defrag_inflight',
    'Whether or not defrag is active on the member: 1 means active, 0 means not.',
    () => (inFlight > 0 ? 1 : 0),
  );
  return unary((_bytes, reply) => {
    const began = clock.now();
    inFlight++;
    compactor.whenDone(() => {
      inFlight--;
      durations.observe((clock.now() - began) / 1_000);
      reply(undefined, new Uint8Array(0));
    });
  });
}
