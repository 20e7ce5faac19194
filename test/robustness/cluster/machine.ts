import { type MemberKind, type MemberProcessOptions } from '../../members/member-process.js';
import { canShiftClocks, ShiftedClock } from '../clocks/shifted-clock.js';
import { canMount, SmallDisk } from '../storage-faults/small-disk.js';
import { tracedEnvironment } from '../storage-faults/tracer.js';
import { type MemberNetwork, type NetworkPlace } from './member-network.js';
import { canMakeNamespaces, NamespaceNetwork } from './namespace-network.js';
import { PeerNetwork } from './peer-network.js';

/** What the machines of a cluster are made of, beyond what all have. */
export interface Surroundings {
  /** Our own proxy for every link, or a network namespace for every member. */
  readonly network: MemberNetwork['kind'];
  /** A file system of its own for every member, which can be filled. */
  readonly hasSmallDisks: boolean;
}

export const plainSurroundings: Surroundings = { network: 'links', hasSmallDisks: false };

const megabytes = 384;

/** Whether such machines can be made here. */
export async function isPossible({ network, hasSmallDisks }: Surroundings): Promise<boolean> {
  if (hasSmallDisks && !canMount()) return false;
  return network === 'links' || canMakeNamespaces();
}

/** @param pids The processes of the members that run, by name. */
export function createNetwork(
  kind: MemberNetwork['kind'],
  pids: () => ReadonlyMap<string, number>,
): Promise<MemberNetwork> {
  return kind === 'links' ? Promise.resolve(new PeerNetwork(pids)) : NamespaceNetwork.create();
}

/** What one member runs on: its place in the network, its disk and its wall clock. */
export class Machine {
  readonly disk: SmallDisk | undefined;
  /** Undefined where it cannot be shifted. */
  readonly clock: ShiftedClock | undefined;

  constructor(
    kind: MemberKind,
    private readonly place: NetworkPlace,
    { hasSmallDisks }: Surroundings,
  ) {
    this.disk = hasSmallDisks ? new SmallDisk(megabytes) : undefined;
    this.clock = kind === 'conclave' && canShiftClocks() ? new ShiftedClock() : undefined;
  }

  get options(): MemberProcessOptions {
    const { place, disk, clock } = this;
    const wrapper = [...place.wrapper, ...(disk?.wrapper ?? [])];
    const environment = { ...tracedEnvironment, ...clock?.environment };
    return { wrapper, environment, ...(disk && { directory: disk.directory }) };
  }

  remove(): void {
    this.disk?.remove();
    this.clock?.remove();
  }
}
