import { type ConnectionCore } from './core.js';
import { ErrorCode } from './error-code.js';
import { UINT31_MAX } from './frame.js';

/**
 * The graceful end of a connection (RFC 9113 section 6.8): streams that were accepted finish, new ones are not taken.
 *
 * A server cannot know which requests are on their way when it decides to stop. So it first sends GOAWAY with the largest
 * stream identifier and a PING; when the PING comes back, the client has seen the GOAWAY and what it sent before has
 * arrived. Then the final GOAWAY names the last stream that was taken.
 */
export class Drain {
  /** Streams of the peer above this are ignored; our final GOAWAY said so. */
  lastAccepted = UINT31_MAX;
  /** A GOAWAY arrived: we may not open streams. */
  peerGoaway = false;
  private pingId = -1;
  private begun = false;
  private final = false;
  private reported = false;

  constructor(private readonly core: ConnectionCore) {}

  /** A GOAWAY was sent or received. */
  get active(): boolean {
    return this.begun || this.peerGoaway;
  }

  /** Begins the graceful end from our side; a second call does nothing. */
  begin(): void {
    if (this.begun || this.core.closed) return;
    this.begun = true;
    if (this.core.isClient) {
      this.final = true;
      this.core.control.goaway(0, ErrorCode.NO_ERROR, '');
      this.check();
      return;
    }
    this.core.control.goaway(UINT31_MAX, ErrorCode.NO_ERROR, '');
    this.pingId = this.core.control.ping();
  }

  /** Our ping of this number was acknowledged. Returns whether it was the one of {@link begin}. */
  pong(id: number): boolean {
    if (id !== this.pingId) return false;
    this.final = true;
    this.lastAccepted = this.core.lastAcceptedId;
    this.core.control.goaway(this.lastAccepted, ErrorCode.NO_ERROR, '');
    this.check();
    return true;
  }

  /** Reports `drained`, once, when no stream is left and none will come. Called whenever a stream has ended. */
  check(): void {
    if (this.reported || !(this.final || this.peerGoaway)) return;
    if (this.core.closed || this.core.streams.size > 0) return;
    this.reported = true;
    this.core.events.drained();
  }
}
