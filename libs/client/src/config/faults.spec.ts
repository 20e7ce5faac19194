import { currentKey, grayKey } from '@conclave/config-model';
import fc from 'fast-check';
import { config } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { type DocumentView } from './document-view.js';
import { type Draft, FakeCenter } from './testing/fake-center.js';

type Step =
  | { readonly kind: 'publish' | 'gray' | 'abort' | 'cut' | 'partition' | 'heal' | 'compact' | 'replace' }
  | { readonly kind: 'advance'; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.constant<Step>({ kind: 'publish' }) },
  { weight: 5, arbitrary: fc.integer({ min: 0, max: 1_500 }).map((ms): Step => ({ kind: 'advance', ms })) },
  {
    weight: 4,
    arbitrary: fc
      .constantFrom(
        'gray' as const,
        'abort' as const,
        'cut' as const,
        'partition' as const,
        'heal' as const,
        'compact' as const,
      )
      .map((kind): Step => ({ kind })),
  },
  { weight: 1, arbitrary: fc.constant<Step>({ kind: 'replace' }) },
);

const names = ['a', 'b', 'c'] as const;
const id = (namespace: string) => ({ env: 'dev', app: 'shop', namespace });

/** Releases of a and b always come together, with the same version; c comes alone, or with them by reference. */
class Scenario {
  readonly center = new FakeCenter();
  readonly snapshots: ReadonlyMap<string, DocumentView>[] = [];
  readonly client = this.center.client({ labels: { zone: 'a' } });
  private version = 0;
  private hasGray = false;

  constructor() {
    this.publish();
    for (const name of names) this.client.config.document$(name).subscribe();
    this.client.config.snapshot$().subscribe((views) => this.snapshots.push(views));
  }

  async run(steps: readonly Step[]): Promise<void> {
    for (const one of steps) {
      if (one.kind === 'advance') await this.center.clock.advance(one.ms);
      else this.apply(one.kind);
    }
    this.center.store.heal();
    this.publish();
    await this.center.clock.advance(20_000);
  }

  /** What the store says in the end. */
  expected(): number {
    return this.version;
  }

  private apply(kind: Exclude<Step['kind'], 'advance'>): void {
    const { store } = this.center;
    if (kind === 'publish') this.publish();
    if (kind === 'gray') this.publishGray();
    if (kind === 'abort' && this.hasGray) this.abortGray();
    if (kind === 'cut') store.cutStreams();
    if (kind === 'partition') store.partition();
    if (kind === 'heal') store.heal();
    if (kind === 'compact' && store.compactRevision < store.revision) store.compactTo(store.revision);
    if (kind === 'replace') {
      store.replaceStore();
      this.hasGray = false;
      this.publish();
    }
  }

  private publish(): void {
    if (this.hasGray) this.abortGray();
    this.version += 1;
    const content = `v: ${this.version}`;
    const c: Record<string, Draft> = this.version % 3 === 0 ? { c: { content, byReference: true } } : {};
    this.center.publish({ a: { content }, b: { content, byReference: this.version % 4 === 0 }, ...c });
  }

  private publishGray(): void {
    this.version += 1;
    const content = `v: ${this.version}`;
    const gray = { rule: 'canary', match: { labels: { zone: ['a'] } } };
    this.center.publish({ a: { content, gray }, b: { content, gray } });
    this.hasGray = true;
  }

  private abortGray(): void {
    this.center.remove(grayKey(id('a'), 'canary'), grayKey(id('b'), 'canary'));
    this.hasGray = false;
  }
}

describe('configuration under faults', () => {
  it('P33 a handler that throws stops no other handler, and no later release', async () => {
    const thrown: unknown[] = [];
    const before = config.onUnhandledError;
    config.onUnhandledError = (error) => thrown.push(error);
    const center = new FakeCenter();
    center.publish({ a: { content: 'v: 1' } });
    const client = center.client();
    const seen: unknown[] = [];
    client.config.document$('a').subscribe(() => {
      throw new Error('handler');
    });
    client.config.document$('a').subscribe((view) => seen.push(view.tree['v']));
    await center.clock.settle();
    center.publish({ a: { content: 'v: 2' } });
    // Errors are reported in turns of their own, by timers of RxJS.
    while (thrown.length < 2) await center.clock.settle();
    config.onUnhandledError = before;
    expect(seen).toEqual([1, 2]);
    expect(thrown).toEqual([new Error('handler'), new Error('handler')]);
  });

  it('P25 P26 P27 no snapshot shows a part of a release, and the newest is shown in the end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const scenario = new Scenario();
        await scenario.run(steps);
        const versions = scenario.snapshots.map((views) => names.map((name) => views.get(name)?.tree['v']));
        for (const [a, b] of versions) expect(a).toBe(b);
        expect(versions.at(-1)?.[0]).toBe(scenario.expected());
        expect(scenario.center.warnings.filter((warning) => warning.code !== 'cache-unusable')).toEqual([]);
        const cached =
          scenario.center.cache.states.get('config/dev/shop')?.entries.map((entry) => entry.key) ?? [];
        expect(cached).toContain(currentKey(id('a')));
        expect(cached.filter((key) => key.includes('/gray/'))).toEqual([]);
        await scenario.client.close();
        expect(scenario.center.clock.timers).toBe(0);
        expect(scenario.center.store.watchers).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});
