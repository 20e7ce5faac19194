import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { freePorts } from '../../members/member-process.js';
import { between } from './member-network.js';
import { PeerNetwork } from './peer-network.js';

/** A member that answers every byte with the same byte. */
async function echo(port: number): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return server;
}

/** What a caller sees of one connection. */
class Caller {
  readonly socket: Socket;
  text = '';
  end = '';

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.socket.on('data', (bytes: Buffer) => (this.text += bytes.toString('latin1')));
    this.socket.on('end', () => (this.end = 'finished'));
    this.socket.on('error', (error: NodeJS.ErrnoException) => (this.end = error.code ?? 'error'));
  }

  async answers(text: string): Promise<void> {
    await vi.waitFor(() => expect(this.text).toBe(text), { timeout: 10_000, interval: 5 });
  }

  async ends(how: string): Promise<void> {
    await vi.waitFor(() => expect(this.end).toBe(how), { timeout: 10_000, interval: 5 });
  }
}

describe('the network between members', () => {
  const open: (() => void)[] = [];
  afterEach(() => open.splice(0).forEach((close) => close()));

  /** This process calls as member `a`; `b` is the echo. */
  async function linked(): Promise<{ network: PeerNetwork; caller: Caller; port: number }> {
    const [port, memberPort] = await freePorts(2);
    const server = await echo(memberPort);
    const network = new PeerNetwork(() => new Map([['a', process.pid]]));
    network.add('b', port, memberPort);
    await network.listen('b');
    const caller = new Caller(port);
    open.push(() => {
      caller.socket.destroy();
      void network.close();
      server.close();
    });
    caller.socket.write('1');
    await caller.answers('1');
    return { network, caller, port };
  }

  it('hands bytes on, and knows who calls', async () => {
    const { network, caller } = await linked();
    network.link('x', 'b').condition = { kind: 'lost' };
    caller.socket.write('2');
    await caller.answers('12');
    caller.socket.end();
    await caller.ends('finished');
  });

  it.each(['a>b', 'b>a'])('holds bytes on the link %s until it is open again', async (direction) => {
    const { network, caller } = await linked();
    const [from, to] = direction.split('>');
    network.link(from, to).condition = { kind: 'held' };
    caller.socket.write('2');
    await expect(Promise.race([caller.answers('12').then(() => 'answered'), passing()])).resolves.toBe(
      'nothing came',
    );
    network.heal();
    await caller.answers('12');
  });

  it.each(['a>b', 'b>a'])('loses bytes on the link %s, and then the connection', async (direction) => {
    const { network, caller } = await linked();
    const [from, to] = direction.split('>');
    network.link(from, to).condition = { kind: 'lost' };
    caller.socket.write('2');
    expect(await Promise.race([caller.answers('12').then(() => 'answered'), passing()])).toBe('nothing came');
    expect(caller.end).toBe('');
    network.heal();
    await caller.ends('ECONNRESET');
    expect(caller.text).toBe('1');
  });

  it('delays bytes and keeps their order', async () => {
    const { network, caller } = await linked();
    between(network, ['a'], ['b'], { kind: 'delayed', ms: 20 });
    for (const text of ['2', '3', '4']) caller.socket.write(text);
    await caller.answers('1234');
  });

  it('resets connections', async () => {
    const { network, caller } = await linked();
    network.link('a', 'b').reset();
    await caller.ends('ECONNRESET');
  });

  it('closes one direction of connections', async () => {
    const { network, caller } = await linked();
    network.link('b', 'a').halfClose();
    await caller.ends('finished');
    expect(caller.socket.writable).toBe(true);
  });

  it('refuses connections for a member that is down', async () => {
    const { network, port } = await linked();
    network.refuse('b');
    const late = new Caller(port);
    await late.ends('ECONNREFUSED');
    await network.listen('b');
    const later = new Caller(port);
    later.socket.write('5');
    await later.answers('5');
    later.socket.destroy();
  });
});

/** Many turns of the event loop, in which an answer over loopback would have come long ago. */
async function passing(): Promise<string> {
  const server = await echo(0);
  const { port } = server.address() as { port: number };
  const caller = new Caller(port);
  for (let i = 1; i <= 20; i++) {
    caller.socket.write('.');
    await caller.answers('.'.repeat(i));
  }
  caller.socket.destroy();
  server.close();
  return 'nothing came';
}
