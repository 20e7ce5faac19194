/** Counters of one connection since it began, for metrics. Plain numbers that only grow. */
export interface ConnectionStats {
  /** Octets given to `receive`. */
  bytesIn: number;
  /** Octets handed out by `takeOutput`. */
  bytesOut: number;
  framesIn: number;
  framesOut: number;
  /** Payload octets of DATA frames, without padding. */
  dataBytesIn: number;
  dataBytesOut: number;
  streamsOpened: number;
  /** Streams that a RST_STREAM of the peer ended. */
  peerResets: number;
  /** RST_STREAM frames that we sent, whatever the reason. */
  localResets: number;
  pingsIn: number;
  /** Header blocks that were recognised by their octets and not decoded again. */
  cachedHeaderBlocks: number;
}

/** All counters at zero. */
export function createStats(): ConnectionStats {
  return {
    bytesIn: 0,
    bytesOut: 0,
    framesIn: 0,
    framesOut: 0,
    dataBytesIn: 0,
    dataBytesOut: 0,
    streamsOpened: 0,
    peerResets: 0,
    localResets: 0,
    pingsIn: 0,
    cachedHeaderBlocks: 0,
  };
}
