import { type etcdserverpb as pb } from '@conclave/protocol';
import { asConclaveError, watchCancelError } from '../error-mapping.js';
import { UnauthorizedError, UnavailableError } from '../errors.js';
import { type StreamObserver } from '../kv-store.js';
import { type Authorization, type Tokens } from './tokens.js';

/** The stream of the watch that is observed. */
export interface AuthorizedStream {
  readonly authorization: Authorization | undefined;
  cancel(): void;
}

/**
 * Finds out why a watch was denied. Servers check a token when a watch is created and answer with a cancellation; etcd 3.4
 * says "permission denied" there even when the token has only expired. So one harmless call is made with the token: if
 * that one had to be given a new token, the watch ends as an interruption, after which its owner opens it again; otherwise
 * the denial is passed on.
 */
export class DeniedWatch implements StreamObserver<pb.WatchResponse> {
  private stream: AuthorizedStream | undefined;
  private isOver = false;

  constructor(
    private readonly observer: StreamObserver<pb.WatchResponse>,
    private readonly tokens: Tokens,
    /** A call that needs a valid token and no permission. */
    private readonly tryToken: () => Promise<unknown>,
  ) {}

  /** To be called before the stream delivers. */
  observe<S extends AuthorizedStream>(stream: S): S {
    this.stream = stream;
    return stream;
  }

  next(response: pb.WatchResponse): void {
    if (this.isOver) return;
    if (response.canceled && watchCancelError(response.cancel_reason) instanceof UnauthorizedError) {
      void this.examine(response);
    } else {
      this.observer.next(response);
    }
  }

  error(error: Parameters<StreamObserver<pb.WatchResponse>['error']>[0]): void {
    if (this.isOver) return;
    this.isOver = true;
    this.observer.error(error);
  }

  private async examine(response: pb.WatchResponse): Promise<void> {
    const used = this.stream?.authorization;
    try {
      await this.tryToken();
    } catch (error) {
      this.stream?.cancel();
      return this.error(asConclaveError(error));
    }
    if (this.isOver) return;
    const denial = watchCancelError(response.cancel_reason);
    if (used === this.tokens.now() && denial.reason === 'PermissionDenied')
      return this.observer.next(response);
    this.stream?.cancel();
    this.error(new UnavailableError(`the watch opens again with a new token (${denial.message})`));
  }
}
