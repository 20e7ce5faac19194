import { GrpcError, GrpcStatus } from '@conclave/grpc';
import { type Operation, type Outcome, type Request } from '../history/operation.js';

/** Answers that a member gives only after it looked at the request and did nothing. */
const definite: readonly GrpcStatus[] = [
  GrpcStatus.NotFound,
  GrpcStatus.InvalidArgument,
  GrpcStatus.FailedPrecondition,
  GrpcStatus.OutOfRange,
  GrpcStatus.ResourceExhausted,
];

/** Writes down what the clients of one history call and are answered, in one order. */
export class Recorder {
  readonly operations: Operation[] = [];
  /** When a revision was first seen in an event. */
  readonly arrivalMs = new Map<number, number>();
  /** Operations that were answered with success. */
  acknowledged = 0;
  private waiting: { acknowledged: number; resolve: () => void }[] = [];
  private place = 0;
  private calls = 0;

  /** A name for the next operation. */
  nextId(): string {
    return `op${++this.calls}`;
  }

  /** Runs one operation and records it; gives its outcome, never rejects. */
  async run(id: string, request: Request, call: () => Promise<Outcome & { kind: 'done' }>): Promise<Outcome> {
    const calledAt = ++this.place;
    const sentMs = performance.now();
    const outcome = await call().catch(outcomeOf);
    const answeredMs = performance.now();
    this.operations.push({ id, request, calledAt, answeredAt: ++this.place, sentMs, answeredMs, outcome });
    if (outcome.kind === 'done') this.countAcknowledged();
    return outcome;
  }

  arrived(revision: number): void {
    if (!this.arrivalMs.has(revision)) this.arrivalMs.set(revision, performance.now());
  }

  /** Resolves after so many more acknowledgements. */
  moreAcknowledged(count: number): Promise<void> {
    return new Promise((resolve) => this.waiting.push({ acknowledged: this.acknowledged + count, resolve }));
  }

  private countAcknowledged(): void {
    this.acknowledged++;
    this.waiting = this.waiting.filter(({ acknowledged, resolve }) => {
      if (acknowledged > this.acknowledged) return true;
      resolve();
      return false;
    });
  }
}

/** What an error tells of whether the operation took place. */
function outcomeOf(error: unknown): Outcome {
  if (!(error instanceof GrpcError)) throw error;
  const reason = `${error.codeName}: ${error.message}`;
  const isDefinite = error.notSent || definite.includes(error.code);
  return { kind: isDefinite ? 'failed' : 'unknown', reason };
}
