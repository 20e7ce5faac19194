import { type MemberId } from '../../../apps/server/src/engine/raft/message.js';
import { type StateFile } from '../../../apps/server/src/engine/replica/peer-transport.js';
import { type SimulatedDisk } from '../../../apps/server/src/engine/platform/simulated-disk.js';

/** Where members keep states that arrive. No fault of the disk strikes there: it is the transport's, not the engine's. */
export const spoolDirectory = '/spool';

/** A whole state on its way, as the network carries it. */
export interface CarriedState extends Omit<StateFile, 'path'> {
  readonly from: MemberId;
  readonly senderTerm: number;
  readonly bytes: Uint8Array;
}

export async function readState(
  disk: SimulatedDisk,
  state: StateFile,
  from: MemberId,
  senderTerm: number,
): Promise<CarriedState> {
  const file = await disk.open(state.path, 'read');
  const bytes = await file.read(0, await file.size());
  await file.close();
  const { index, term, confState } = state;
  return { index, term, confState, from, senderTerm, bytes };
}

/** @returns the path of the new file. */
export async function spoolState(disk: SimulatedDisk, bytes: Uint8Array, number: number): Promise<string> {
  await disk.makeDirectory(spoolDirectory);
  const path = `${spoolDirectory}/received-${number}`;
  const file = await disk.open(path, 'create');
  await file.write(0, bytes);
  await file.sync();
  await file.close();
  return path;
}
