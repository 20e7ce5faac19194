import { type EngineOptions } from '../engine/engine-options.js';
import { type Logger } from '../engine/platform/logger.js';
import { type Meter } from '../engine/platform/meter.js';
import { type ServerOptions } from '../options/server-options.js';
import { type Membership, resolveMembership } from './membership.js';
import { createNodePlatform, type NodePlatform } from './node-platform.js';

/** Where a member keeps its state, and who it is there. */
export interface MemberHome {
  readonly platform: NodePlatform;
  readonly membership: Membership;
  /** What suits this place better than the defaults do. */
  readonly storage?: Pick<EngineOptions, 'walBatchBytes'> & Partial<Pick<EngineOptions, 'walSegmentBytes'>>;
}

export interface HomeParts {
  readonly logger: Logger;
  readonly registry: Meter;
}

/** Opens the place of a member once its ports are bound. What it opened it closes when it throws. */
export type OpenHome = (options: ServerOptions, parts: HomeParts) => Promise<MemberHome>;

/** The data directory on the disks of this machine. @throws as `resolveMembership` does. */
export const openDiskHome: OpenHome = async (options, { logger, registry }) => {
  const platform = createNodePlatform(options.quotaBytes, logger, registry);
  try {
    return { platform, membership: await resolveMembership(options, logger) };
  } catch (error) {
    await platform.close();
    throw error;
  }
};
