import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parseExposition } from '../server/exposition.js';
import { ClusterFixture } from './cluster-fixture.js';

interface DocumentedMetric {
  readonly type: string;
  /** Whether it appears only when it first happens, or when an option asks for it. */
  readonly isLate: boolean;
}

/** The rows of the tables of docs/metrics.md that begin with the name of a metric. */
function readDocument(): Map<string, DocumentedMetric> {
  const text = readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8');
  const metrics = new Map<string, DocumentedMetric>();
  for (const [, name, late, type] of text.matchAll(
    /^\| `(\w+)`( †)? +\| (counter|gauge|histogram) +\| \S.*\|$/gm,
  )) {
    expect(metrics.has(name), `${name} stands twice`).toBe(false);
    metrics.set(name, { type, isLate: late !== undefined });
  }
  return metrics;
}

describe('docs/metrics.md', () => {
  let fixture: ClusterFixture;

  beforeAll(async () => {
    fixture = await ClusterFixture.start(3);
    await vi.waitFor(() => fixture.leader(), { timeout: 30_000, interval: 20 });
  });

  afterAll(() => fixture?.end());

  it('names every metric of every member, with its type, and none that does not exist', async () => {
    const documented = readDocument();
    expect(documented.size).toBeGreaterThan(60);
    const exposed = new Set<string>();
    for (const { url } of fixture.members) {
      await fetch(`${url}/readyz`);
      const families = parseExposition(await (await fetch(`${url}/metrics`)).text());
      for (const [name, { type }] of families) {
        expect(documented.get(name)?.type, name).toBe(type);
        exposed.add(name);
      }
    }
    const missing = [...documented].filter(([name, { isLate }]) => !isLate && !exposed.has(name));
    expect(missing.map(([name]) => name)).toEqual([]);
  });
});
