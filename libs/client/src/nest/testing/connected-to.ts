import { type FakeCenter } from '../../config/testing/fake-center.js';
import { type ConclaveModuleOptions } from '../module/options.js';

/** The options of a connection to a center in memory, of the app `shop` in the environment `dev`. */
export function connectedTo(
  center: FakeCenter,
  options: Partial<ConclaveModuleOptions> = {},
): ConclaveModuleOptions {
  return {
    endpoints: [],
    app: 'shop',
    clock: center.clock,
    clientFactory: (all) => center.client({ report: false, ...all }),
    ...options,
  };
}
