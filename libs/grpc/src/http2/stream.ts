import { type PreparedHeaders } from '../hpack/prepared-headers.js';
import { SendQueue } from './send-queue.js';

/** Header fields to send: names and values in turn (latin1, names lower case), or a block prepared once. */
export type HeaderSource = PreparedHeaders | readonly string[];

/**
 * One HTTP/2 stream (RFC 9113 section 5). Applications read the first group of fields and set `context`; everything else
 * belongs to the connection core. The object stays usable as a handle after the stream has closed: every call of the
 * connection on a closed stream does nothing.
 *
 * Invariants: a closed stream is open in neither direction and queues nothing; `unconsumed >= 0`; trailers or an end that
 * wait (`pendingTrailers`, `endQueued`) imply `localOpen` and that nothing more may be queued.
 */
export class Stream {
  /** Free for the layer above: its call object. */
  context: unknown = undefined;
  /** True once the stream is over in both directions or was reset. */
  closed = false;
  /** We may still send: END_STREAM has not been put into the output. */
  localOpen = true;
  /** The peer may still send. */
  remoteOpen = true;

  headersSent = false;
  headersReceived = false;
  /** The application has sent its last octet or trailers; they may still wait in the queue. */
  endQueued = false;
  /** Trailers that wait for the data before them. */
  pendingTrailers: HeaderSource | undefined = undefined;
  pendingTrailerFields: readonly string[] | undefined = undefined;
  readonly queue = new SendQueue();
  /** Is in the sender's ring of streams with something to send. */
  scheduled = false;
  /** `sendData` returned false; `writable` is owed. */
  owesWritable = false;

  /** Octets that we may send; negative after the peer shrank its initial window (RFC 9113 section 6.9.2). */
  sendWindow: number;
  /** Octets that the peer may still send. */
  receiveWindow: number;
  /** Octets delivered to the application and not yet consumed. */
  unconsumed = 0;
  /** The stream was reset and its octets were returned to the connection window; further `consumed` calls do nothing. */
  released = false;
  /** Octets consumed and not yet announced with WINDOW_UPDATE. */
  returnable = 0;
  /** Octets of DATA that the content-length still promises; -1 when there was none. */
  contentRemaining = -1;

  constructor(
    readonly id: number,
    sendWindow: number,
    receiveWindow: number,
  ) {
    this.sendWindow = sendWindow;
    this.receiveWindow = receiveWindow;
  }

  /** Octets of DATA that wait for window or for the socket. */
  get queuedBytes(): number {
    return this.queue.bytes;
  }
}
