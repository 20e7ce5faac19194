import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from '../testing/virtual-clock.js';
import { type NamespaceState, ReleaseGate } from './release-gate.js';

function setUp(names: readonly string[]) {
  const clock = new VirtualClock();
  const shown: string[] = [];
  const asked: string[] = [];
  const gate = new ReleaseGate({
    clock,
    holdMs: 500,
    catchUp: (name, revision) => asked.push(`${name}@${revision ?? 'now'}`),
    show: (states) =>
      shown.push(
        states
          .map((s) => `${s.name}@${s.revision}`)
          .sort()
          .join(' '),
      ),
  });
  for (const name of names) gate.watch(name);
  return { clock, gate, shown, asked };
}

function state(
  name: string,
  revision: bigint,
  together: readonly string[] = [],
  cause: NamespaceState['cause'] = 'change',
) {
  const needs = together.length === 0 ? [] : [{ members: together, revision }];
  return { name, revision, cause, release: undefined, rows: new Map(), rejected: undefined, needs };
}

describe('the release gate', () => {
  it('shows at once what belongs to nothing else', () => {
    const { gate, shown, clock } = setUp(['a', 'b']);
    gate.arrived(state('a', 5n));
    gate.arrived(state('b', 3n));
    expect(shown).toEqual(['a@5', 'b@3']);
    expect(clock.timers).toBe(0);
  });

  it('shows a release of several namespaces in one piece, once', () => {
    const { gate, shown, clock } = setUp(['a', 'b', 'c']);
    gate.arrived(state('a', 5n, ['a', 'b', 'c', 'elsewhere']));
    gate.arrived(state('b', 5n, ['a', 'b', 'c', 'elsewhere']));
    expect(shown).toEqual([]);
    gate.arrived(state('c', 5n, ['a', 'b', 'c', 'elsewhere']));
    expect(shown).toEqual(['a@5 b@5 c@5']);
    expect(clock.timers).toBe(0);
  });

  it('holds what follows a held state, and lets others pass', () => {
    const { gate, shown } = setUp(['a', 'b', 'c']);
    gate.arrived(state('a', 5n, ['a', 'b']));
    gate.arrived(state('a', 6n));
    gate.arrived(state('c', 7n));
    expect(shown).toEqual(['c@7']);
    gate.arrived(state('b', 5n, ['a', 'b']));
    expect(shown).toEqual(['c@7', 'a@6 b@5']);
  });

  it('asks for those that are late after the bound, again and again until they are here', async () => {
    const { clock, gate, shown, asked } = setUp(['a', 'b']);
    gate.arrived(state('a', 5n, ['a', 'b']));
    gate.arrived(state('a', 8n));
    await clock.advance(499);
    expect(asked).toEqual([]);
    await clock.advance(501);
    expect(asked).toEqual(['b@8', 'b@8']);
    gate.arrived(state('b', 8n));
    expect(shown).toEqual(['a@8 b@8']);
    gate.arrived(state('b', 5n, ['a', 'b']));
    expect(shown).toHaveLength(1);
    await clock.advance(5_000);
    expect(asked).toHaveLength(2);
  });

  it('waits for nobody who has left', () => {
    const { gate, shown } = setUp(['a', 'b']);
    gate.arrived(state('a', 5n, ['a', 'b']));
    gate.leave('b');
    expect(shown).toEqual(['a@5']);
  });

  it('takes a replaced store as it is, whatever its revision', () => {
    const { gate, shown } = setUp(['a']);
    gate.arrived(state('a', 90n));
    gate.arrived(state('a', 4n));
    gate.arrived(state('a', 2n, [], 'store-replaced'));
    gate.arrived(state('a', 3n));
    expect(shown).toEqual(['a@90', 'a@2', 'a@3']);
  });

  it('a replaced store is shown in one piece too, and those that do not tell of it are asked', async () => {
    const { clock, gate, shown, asked } = setUp(['a', 'b', 'c']);
    for (const name of ['a', 'b', 'c']) gate.arrived(state(name, 90n));
    gate.arrived(state('a', 5n, ['a', 'b'], 'store-replaced'));
    gate.arrived(state('b', 91n));
    expect(shown).toEqual(['a@90', 'b@90', 'c@90']);
    gate.arrived(state('b', 5n, ['a', 'b'], 'store-replaced'));
    expect(shown.slice(3)).toEqual(['a@5 b@5']);
    await clock.advance(500);
    expect(asked).toEqual(['c@now']);
    gate.arrived(state('c', 6n, [], 'store-replaced'));
    expect(shown.slice(4)).toEqual(['c@6']);
    expect(clock.timers).toBe(0);
  });

  it('never shows a part of a release, in any order of arrival, and shows everything in the end', () => {
    const names = ['a', 'b', 'c', 'd'];
    const releases = fc.array(fc.subarray(names, { minLength: 1 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(releases, fc.infiniteStream(fc.nat(3)), (groups, picks) => {
        const latest = new Map<string, bigint>();
        const { clock, ...gate } = gateThatTells(names, (states) => {
          for (const s of states) latest.set(s.name, s.revision);
          for (const [index, group] of groups.entries()) {
            const revision = BigInt(index + 1);
            const seen = group.filter((name) => (latest.get(name) ?? 0n) >= revision);
            expect([0, group.length]).toContain(seen.length);
          }
        });
        const waiting = names.map((name) =>
          groups.flatMap((group, index) =>
            group.includes(name) ? [state(name, BigInt(index + 1), group)] : [],
          ),
        );
        while (waiting.some((line) => line.length > 0)) {
          const open = waiting.filter((line) => line.length > 0);
          const next = open[(picks.next().value as number) % open.length]?.shift();
          if (next !== undefined) gate.gate.arrived(next);
        }
        for (const [index, group] of groups.entries()) {
          for (const name of group) expect(latest.get(name)).toBeGreaterThanOrEqual(BigInt(index + 1));
        }
        expect(clock.timers).toBe(0);
      }),
    );
  });
});

function gateThatTells(names: readonly string[], show: (states: readonly NamespaceState[]) => void) {
  const clock = new VirtualClock();
  const gate = new ReleaseGate({ clock, holdMs: 500, catchUp: () => undefined, show });
  for (const name of names) gate.watch(name);
  return { clock, gate };
}
