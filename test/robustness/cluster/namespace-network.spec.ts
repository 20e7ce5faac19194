import { connect, type Socket } from 'node:net';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { canMakeNamespaces, NamespaceNetwork } from './namespace-network.js';
import { type NetworkPlace } from './member-network.js';

const possible = await canMakeNamespaces();
const note = possible ? '' : ' (left out: needs root, ip, unshare and nsenter)';
const waiting = { timeout: 20_000, interval: 20 };

/** A machine that prints and returns what it is sent, and dials the other one when it is told to. */
const program = `
  import { connect, createServer } from 'node:net';
  createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (bytes) => { console.log('heard ' + bytes); socket.write(bytes); });
  }).listen(2380, () => console.log('ready'));
  let line;
  process.stdin.on('data', (text) => {
    const [to, word] = String(text).trim().split(' ');
    line ??= connect({ host: to, port: 2380 });
    line.on('error', () => undefined);
    line.removeAllListeners('data').on('data', (bytes) => console.log('answer ' + bytes));
    line.write(word);
  });
`;

class Machine {
  text = '';
  private readonly child: ChildProcess;

  constructor(readonly place: NetworkPlace) {
    const [command, ...args] = [...place.wrapper, process.execPath, '--input-type=module', '-e', program];
    this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.child.stdout!.on('data', (bytes: Buffer) => (this.text += bytes.toString('latin1')));
  }

  say(to: Machine, word: string): void {
    this.child.stdin!.write(`${to.place.host} ${word}`);
  }

  async printed(text: string): Promise<void> {
    await vi.waitFor(() => expect(this.text).toContain(text), waiting);
  }

  async end(): Promise<void> {
    const ended = once(this.child, 'close');
    this.child.kill('SIGKILL');
    await ended;
  }
}

describe.skipIf(!possible)(`a network of namespaces${note}`, () => {
  const open: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of open.splice(0).reverse()) await close();
  });

  it('cuts one direction without a trace, and carries what was held back when it is healed', async () => {
    const network = await NamespaceNetwork.create();
    open.push(() => network.close());
    const places = [await network.place('a'), await network.place('b')];
    const [a, b] = places.map((place) => new Machine(place));
    for (const machine of [a, b]) {
      open.push(() => machine.end());
      await machine.printed('ready');
    }
    a.say(b, '1');
    await a.printed('answer 1');

    // b hears a, but its answer is lost.
    network.way('b', 'a').condition = { kind: 'lost' };
    a.say(b, '2');
    await b.printed('heard 2');
    // The clients still reach both.
    const client: Socket = connect({ host: b.place.host, port: 2380 });
    open.push(() => client.destroy());
    client.write('3');
    const [answer] = (await once(client, 'data')) as [Buffer];
    expect(answer.toString()).toBe('3');
    expect(a.text).not.toContain('answer 2');

    network.heal();
    await a.printed('answer 2');
  });
});
