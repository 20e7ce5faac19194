import { BehaviorSubject, isObservable, type Observable, type Subscription } from 'rxjs';
import { InvalidArgumentError } from '../errors.js';
import { parseEndpoint } from './endpoint.js';

/** Members as the cluster itself lists them. */
export interface DiscoveredMembers {
  readonly ids: ReadonlySet<bigint>;
  /** Where those that serve everything listen for clients. */
  readonly urls: readonly string[];
}

/**
 * The addresses in use. Given ones, fixed or changing, until members were discovered; then theirs, and the given ones only
 * after all of those have failed. Each round tries them in another random order, so that the clients of a lost member
 * spread over all others.
 */
export class Endpoints {
  private given: readonly string[] = [];
  private discovered: DiscoveredMembers | undefined;
  private lost: string | undefined;
  private subscription: Subscription | undefined;
  private readonly lists = new BehaviorSubject<readonly string[]>([]);
  /** The addresses in use now, and each change of them. Completes when the client is closed. */
  readonly list$: Observable<readonly string[]> = this.lists.asObservable();

  /** @throws InvalidArgumentError when a fixed list is empty or has an entry that is no address. */
  constructor(
    private readonly source: readonly string[] | Observable<readonly string[]>,
    private readonly random: () => number,
    private readonly onChange: () => void,
  ) {
    if (isObservable(source)) return;
    this.given = checked(source);
    this.lists.next(this.given);
  }

  /** Subscribes to a list that changes. An empty emission is kept out: the last known members are a better guess. */
  start(): void {
    if (!isObservable(this.source) || this.subscription !== undefined) return;
    this.subscription = this.source.subscribe((list) => {
      if (list.length === 0) return;
      this.given = [...new Set(list)];
      this.discovered = undefined;
      this.changed();
    });
  }

  /** The members of the cluster; those that are missing here are used no longer. Without any address it says nothing. */
  discover(members: DiscoveredMembers): void {
    const urls = [...new Set(members.urls.filter(isAddress))];
    if (urls.length === 0) return;
    this.discovered = { ids: members.ids, urls };
    this.changed();
  }

  /** How many addresses a round has. */
  get size(): number {
    return new Set([...this.current, ...this.given]).size;
  }

  /** True when the member behind this address is still to be used. */
  includes(endpoint: string, memberId: bigint): boolean {
    return this.discovered?.ids.has(memberId) ?? this.given.includes(endpoint);
  }

  /** Every address once, in random order. The one that was lost last comes after its equals. */
  round(): string[] {
    const { current, lost } = this;
    const others = shuffled(
      current.filter((endpoint) => endpoint !== lost),
      this.random,
    );
    const last = lost !== undefined && current.includes(lost) ? [lost] : [];
    const fallback = this.given.filter((endpoint) => !current.includes(endpoint));
    return [...others, ...last, ...shuffled(fallback, this.random)];
  }

  /** The connection to this address has failed. */
  failed(endpoint: string): void {
    this.lost = endpoint;
  }

  stop(): void {
    this.subscription?.unsubscribe();
    this.lists.complete();
  }

  private get current(): readonly string[] {
    return this.discovered?.urls ?? this.given;
  }

  private changed(): void {
    const before = this.lists.value;
    const { current } = this;
    const isSame = before.length === current.length && before.every((endpoint) => current.includes(endpoint));
    if (!isSame) this.lists.next([...current]);
    this.onChange();
  }
}

/** Each order is equally likely (Fisher and Yates). */
function shuffled(list: readonly string[], random: () => number): string[] {
  const order = [...list];
  for (let i = 0; i < order.length - 1; i += 1) {
    const j = i + Math.floor(random() * (order.length - i));
    [order[i], order[j]] = [order[j] ?? '', order[i] ?? ''];
  }
  return order;
}

function checked(list: readonly string[]): readonly string[] {
  if (list.length === 0) {
    throw new InvalidArgumentError("endpoints: needs at least one address, such as 'http://127.0.0.1:2379'");
  }
  for (const endpoint of list) parseEndpoint(endpoint);
  return [...new Set(list)];
}

/** Members may advertise what this client cannot dial, such as unix sockets. */
function isAddress(endpoint: string): boolean {
  try {
    parseEndpoint(endpoint);
    return true;
  } catch {
    return false;
  }
}
