import { type Configuration } from '../checks/configuration.js';
import { type Draw } from '../world/fate.js';
import { type Changes } from './member-requests.js';

/**
 * Members that come, go and get a vote together; undefined when nothing was drawn.
 *
 * @param room New members that there may be.
 * @param spare Voters that may go, and as many more as get a vote: those have what the others have.
 * @param newUrl The peer URL of each new one.
 */
export function drawChanges(
  draw: Draw,
  { voters, learners }: Configuration,
  room: number,
  spare: number,
  newUrl: (at: number) => string,
): Changes | undefined {
  const promote = [...learners].filter(() => draw.chance(0.8));
  const remove: bigint[] = [];
  spare += promote.length;
  for (let left = draw.pick([0, 1, 2, 2]); left > 0; left--) {
    const id = draw.pick([...voters, ...learners]);
    const cost = voters.has(id) ? 1 : 0;
    if (remove.includes(id) || promote.includes(id) || spare < cost) continue;
    spare -= cost;
    remove.push(id);
  }
  const count = Math.min(draw.pick([0, 1, 1, 2]), Math.max(0, room));
  // One learner at a time.
  const staying = [...learners].filter((id) => !promote.includes(id) && !remove.includes(id));
  const learner = staying.length === 0 && draw.chance(0.7) ? 0 : -1;
  const add = Array.from({ length: count }, (_, at) => ({ peerUrl: newUrl(at), isLearner: at === learner }));
  return promote.length + remove.length + count === 0 ? undefined : { add, promote, remove };
}
