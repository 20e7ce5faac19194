import { describe, expect, it } from 'vitest';
import { type ConnectionOptions, resolveOptions } from './options.js';

describe('resolveOptions', () => {
  it('fills in the defaults, also for undefined', () => {
    const options = resolveOptions({ maxFrameSize: undefined, maxPings: 7 });
    expect(options).toMatchObject({ maxFrameSize: 16_384, maxPings: 7, initialWindowSize: 1_048_576 });
  });

  it('reports every option that is out of range at once', () => {
    const wrong: ConnectionOptions = {
      maxFrameSize: 1,
      maxPings: -1,
      initialWindowSize: NaN,
      connectionWindowSize: 2 ** 31,
    };
    expect(() => resolveOptions(wrong)).toThrow(RangeError);
    for (const name of Object.keys(wrong)) expect(() => resolveOptions(wrong)).toThrow(name);
  });
});
