import { isObservable, type Observable, type Subscription } from 'rxjs';
import { InvalidArgumentError } from '../errors.js';
import { parseEndpoint } from './endpoint.js';

/**
 * The addresses to try, in rotation. The list may change at any time; the place in the rotation starts at random, so
 * that many clients with one list spread over the members.
 */
export class Endpoints {
  private list: readonly string[] = [];
  private next = 0;
  private subscription: Subscription | undefined;

  /** @throws InvalidArgumentError when a fixed list is empty or has an entry that is no address. */
  constructor(
    private readonly source: readonly string[] | Observable<readonly string[]>,
    private readonly random: () => number,
    private readonly onChange: (list: readonly string[]) => void,
  ) {
    if (!isObservable(source)) this.list = checked(source);
    this.next = Math.floor(random() * this.list.length);
  }

  /** Subscribes to a list that changes. An empty emission is kept out: the last known members are a better guess. */
  start(): void {
    if (!isObservable(this.source) || this.subscription !== undefined) return;
    this.subscription = this.source.subscribe((list) => {
      if (list.length === 0) return;
      this.list = [...list];
      this.next = Math.floor(this.random() * list.length);
      this.onChange(this.list);
    });
  }

  get size(): number {
    return this.list.length;
  }

  includes(endpoint: string): boolean {
    return this.list.includes(endpoint);
  }

  /** Every address once, starting after the one that was taken last. */
  round(): string[] {
    const turn = this.next % Math.max(1, this.list.length);
    return [...this.list.slice(turn), ...this.list.slice(0, turn)];
  }

  /** The next round starts after this address. */
  taken(endpoint: string): void {
    this.next = this.list.indexOf(endpoint) + 1;
  }

  stop(): void {
    this.subscription?.unsubscribe();
  }
}

function checked(list: readonly string[]): readonly string[] {
  if (list.length === 0) {
    throw new InvalidArgumentError("endpoints: needs at least one address, such as 'http://127.0.0.1:2379'");
  }
  for (const endpoint of list) parseEndpoint(endpoint);
  return [...list];
}
