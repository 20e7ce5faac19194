import { type Writable } from 'node:stream';

/** Characters that are formatted before the event loop gets its turn: about a millisecond of work. */
const sliceCharacters = 65_536;

/** Writes the pieces of a long text, a slice per turn of the event loop and no faster than the peer reads, and ends the stream. */
export function sendInSlices(target: Writable, pieces: Iterator<string, void>): void {
  const next = (): void => {
    if (target.destroyed) return;
    let slice = '';
    while (slice.length < sliceCharacters) {
      const piece = pieces.next();
      if (piece.done === true) {
        target.end(slice);
        return;
      }
      slice += piece.value;
    }
    if (target.write(slice)) setImmediate(next);
    else target.once('drain', next);
  };
  next();
}
