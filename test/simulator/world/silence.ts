import { type Logger } from '../../../apps/server/src/engine/platform/logger.js';
import { type Meter } from '../../../apps/server/src/engine/platform/meter.js';

const instrument = { add: () => {}, set: () => {}, observe: () => {} };

/** Nobody reads what simulated members log and count. */
export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };
export const silentMeter: Meter = {
  counter: () => instrument,
  gauge: () => instrument,
  histogram: () => instrument,
  observed: () => {},
  observedCounter: () => {},
};
