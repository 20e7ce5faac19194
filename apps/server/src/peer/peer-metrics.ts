import {
  doublingBuckets,
  type Counter,
  type Gauge,
  type Histogram,
  type Labels,
  type Meter,
} from '../engine/platform/meter.js';
import { type MemberId } from '../engine/raft/message.js';

/** The instruments of one other member. */
export interface PeerInstruments {
  readonly sentBytes: Counter;
  readonly receivedBytes: Counter;
  readonly sendFailures: Counter;
  readonly receiveFailures: Counter;
  readonly roundTrip: Histogram;
  readonly active: Gauge;
  readonly disconnected: Counter;
}

/** 0.1 ms to 3.2768 s, doubling, as etcd has them. */
const roundTripBuckets = doublingBuckets(0.0001, 16);

/** 0.1 s to 51.2 s, and 1 ms to 8.192 s, doubling, as etcd has them. */
const saveBuckets = doublingBuckets(0.1, 10);
const syncBuckets = doublingBuckets(0.001, 14);

/** Metrics of the network between members, under etcd's names. */
export class PeerMetrics {
  readonly heartbeatSendFailures: Counter;
  readonly statesSent: Counter;
  readonly statesFailed: Counter;
  readonly statesReceived: Counter;
  /** Seconds from the first byte of a state that is received until it is durable, and of the last step alone. */
  readonly stateSave: Histogram;
  readonly stateSync: Histogram;
  readonly #byPeer = new Map<MemberId, PeerInstruments>();

  constructor(
    private readonly meter: Meter,
    private readonly self: MemberId,
  ) {
    this.heartbeatSendFailures = meter.counter(
      'etcd_server_heartbeat_send_failures_total',
      'Heartbeats of the leader that could not be sent to a member.',
    );
    this.statesSent = meter.counter('etcd_network_snapshot_send_success', 'States that were sent whole.');
    this.statesFailed = meter.counter(
      'etcd_network_snapshot_send_failures',
      'States that could not be sent.',
    );
    this.statesReceived = meter.counter(
      'etcd_network_snapshot_receive_success',
      'States that arrived whole.',
    );
    this.stateSave = meter.histogram(
      'etcd_snap_db_save_total_duration_seconds',
      'The total latency distributions of v3 snapshot save.',
      saveBuckets,
    );
    this.stateSync = meter.histogram(
      'etcd_snap_db_fsync_duration_seconds',
      'The latency distributions of fsyncing .snap.db file.',
      syncBuckets,
    );
  }

  of(peer: MemberId): PeerInstruments {
    let instruments = this.#byPeer.get(peer);
    if (instruments === undefined) {
      instruments = this.#make(peer.toString(16));
      this.#byPeer.set(peer, instruments);
    }
    return instruments;
  }

  #make(peer: string): PeerInstruments {
    const { meter } = this;
    const to = { To: peer };
    const from = { From: peer };
    const between = { Local: this.self.toString(16), Remote: peer };
    const counter = (name: string, help: string, labels: Labels): Counter =>
      meter.counter(`etcd_network_${name}_total`, help, labels);
    return {
      sentBytes: counter('peer_sent_bytes', 'Bytes sent to members.', to),
      receivedBytes: counter('peer_received_bytes', 'Bytes received from members.', from),
      sendFailures: counter('peer_sent_failures', 'Messages to members that were dropped.', to),
      receiveFailures: counter('peer_received_failures', 'Messages of members that were refused.', from),
      roundTrip: meter.histogram(
        'etcd_network_peer_round_trip_time_seconds',
        'Round trips between members, on the connection that carries heartbeats.',
        roundTripBuckets,
        to,
      ),
      active: meter.gauge('etcd_network_active_peers', 'Connections to members that are open.', between),
      disconnected: counter('disconnected_peers', 'Connections to members that were lost.', between),
    };
  }
}
