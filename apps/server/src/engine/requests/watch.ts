import { etcdserverpb, type ProtocolError } from '@conclave/protocol';
import type { WatchStream } from '../watch/watch-stream.js';
import { asProtocolError, decodeRequest } from './decode.js';
import type { MethodTable, RequestStream, ResponseStream, StreamMethod } from './method.js';
import type { OpenWatch } from './open-watches.js';
import type { RequestParts } from './request-parts.js';

/** The Watch service: one stream holds many watchers (etcd v3, "Watch"). */
export function watchMethods(parts: RequestParts): MethodTable {
  const watch: StreamMethod = {
    kind: 'stream',
    open: (_context, responses) => new WatchCall(parts, responses),
  };
  return new Map([['/etcdserverpb.Watch/Watch', watch]]);
}

class WatchCall implements RequestStream, OpenWatch {
  private readonly stream: WatchStream;

  constructor(
    private readonly parts: RequestParts,
    private readonly responses: ResponseStream,
  ) {
    const { sendFramed } = responses;
    this.stream = parts.hub.open({
      send: (message) => responses.send(message),
      ...(sendFramed === undefined ? {} : { sendFramed }),
    });
    responses.onDrain = () => this.stream.drained();
    parts.watches.add(this);
  }

  message(bytes: Uint8Array): void {
    try {
      this.stream.handle(decodeRequest(etcdserverpb.WatchRequest, bytes));
    } catch (error) {
      this.end(asProtocolError(error));
    }
  }

  /** A caller that sends no more may still read: the watchers go on. */
  halfClose(): void {}

  cancel(): void {
    this.parts.watches.remove(this);
    this.stream.close();
  }

  end(error: ProtocolError): void {
    this.cancel();
    this.responses.end(error);
  }
}
