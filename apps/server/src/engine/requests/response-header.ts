import { Buffer } from 'node:buffer';
import { WireWriter } from '@conclave/protocol';

/**
 * Encodes etcdserverpb.ResponseHeader in front of a response's other fields. Cluster, member and term seldom change,
 * so their bytes are kept; only the revision is written per answer.
 */
export class ResponseHeader {
  private readonly identity: Buffer;
  private term = -1;
  private termField: Buffer = Buffer.alloc(0);

  constructor(
    clusterId: bigint,
    memberId: bigint,
    private readonly currentTerm: () => number,
  ) {
    this.identity = new WireWriter(32).bigint(1, clusterId).bigint(2, memberId).take();
  }

  /** Where the body begins in the message that `begin` gave last. */
  bodyAt = 0;

  /** A whole response message: the header field (number 1) with `revision`, then `body`. Revision 0 is left out. */
  response(revision: number, body: Uint8Array): Buffer {
    const message = this.begin(revision, body.length);
    message.set(body, this.bodyAt);
    return message;
  }

  /** As `response`, with room for a body of so many bytes, to be written from `bodyAt` on. */
  begin(revision: number, bodyBytes: number): Buffer {
    this.refreshTerm();
    const revisionBytes = revision === 0 ? 0 : 1 + varintLength(revision);
    const headerBytes = this.identity.length + revisionBytes + this.termField.length;
    const message = Buffer.allocUnsafe(2 + headerBytes + bodyBytes);
    message[0] = 0x0a;
    message[1] = headerBytes;
    message.set(this.identity, 2);
    let position = 2 + this.identity.length;
    if (revision !== 0) {
      message[position++] = 0x18;
      position = writeVarint(message, position, revision);
    }
    message.set(this.termField, position);
    this.bodyAt = position + this.termField.length;
    return message;
  }

  private refreshTerm(): void {
    const term = this.currentTerm();
    if (term === this.term) return;
    this.term = term;
    this.termField = new WireWriter(16).uint(4, term).take();
  }
}

function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) length++;
  return length;
}

function writeVarint(target: Buffer, at: number, value: number): number {
  let position = at;
  let rest = value;
  while (rest >= 0x80) {
    target[position++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  target[position++] = rest;
  return position;
}
