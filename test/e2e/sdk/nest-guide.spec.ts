import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Fixture } from '../client/fixture.js';
import { targets } from '../client/targets.js';
import { repositoryRoot } from '../../members/member-process.js';

const guide = readFileSync(join(repositoryRoot, 'docs/nest-locks.md'), 'utf8');
const program = readFileSync(join(repositoryRoot, 'test/e2e/sdk/nest-guide.ts'), 'utf8');

/** The marked pieces of the program, without the indentation that their surroundings give them. */
function pieces(): string[] {
  return [...program.matchAll(/^ *\/\/ --- \w+\n(.*?)\n *\/\/ ---$/gms)].map(([, text = '']) => {
    const indent = /^ */.exec(text)?.[0] ?? '';
    return text
      .split('\n')
      .map((line) => (line.startsWith(indent) ? line.slice(indent.length) : line))
      .join('\n');
  });
}

const started: { stop(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const item of started.splice(0).reverse()) await item.stop();
});

describe('docs/nest-locks.md', () => {
  it('shows pieces of a program that is compiled and run', () => {
    const shown = [...guide.matchAll(/```ts\n(.*?)\n```/gs)].map(([, text]) => text);
    expect(shown.length).toBeGreaterThan(5);
    expect([...shown].sort()).toEqual(pieces().sort());
  });

  it.each(targets)('and does what it says, on %s', async (kind) => {
    const fixture = await Fixture.start(kind);
    started.push({ stop: () => fixture.end() });
    process.env['CONCLAVE_ENDPOINT'] = fixture.member.url;
    vi.resetModules();
    const { AppModule, Indexer, ledger, Payments } = await import('./nest-guide.js');
    const module = await Test.createTestingModule({ imports: [AppModule] }).compile();
    const app = module.createNestApplication<NestFastifyApplication>(new FastifyAdapter(), { logger: false });
    await app.init();
    await app.getHttpAdapter().getInstance().ready();
    started.push({ stop: () => app.close() });
    await app.get(Payments).pay('7');
    expect(ledger).toEqual([expect.stringMatching(/^7 with token \d+$/)]);
    expect(await app.get(Payments).reconcile()).toBe(3);
    // Until it is elected.
    let answer = await app.inject({ method: 'POST', url: '/index/rebuild' });
    while (answer.statusCode === 503) answer = await app.inject({ method: 'POST', url: '/index/rebuild' });
    expect([answer.statusCode, answer.body]).toEqual([201, 'rebuilt']);
    expect(await app.get(Indexer).rebuild()).toBe('rebuilt');
    const leader = await fixture.client().elections.election('indexer').leader();
    expect(leader?.text).toBe('http://127.0.0.1:3000');
  });
});
