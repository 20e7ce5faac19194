import { freePorts, type MemberKind, MemberProcess, type MemberProcessOptions } from './member-process.js';

/** Members in processes of their own that form one cluster, on free ports of 127.0.0.1. */
export class MemberCluster {
  private constructor(
    private readonly kind: MemberKind,
    private readonly options: Omit<MemberProcessOptions, 'place' | 'directory'>,
    readonly members: MemberProcess[],
  ) {}

  /** Chooses ports and data directories; `start` starts the members. */
  static async create(
    kind: MemberKind,
    size: number,
    options: Omit<MemberProcessOptions, 'place' | 'directory'> = {},
  ): Promise<MemberCluster> {
    const ports = await freePorts(2 * size);
    const places = Array.from({ length: size }, (_, i) => ({
      name: `m${i + 1}`,
      clientPort: ports[2 * i] ?? 0,
      peerPort: ports[2 * i + 1] ?? 0,
    }));
    const scheme = options.peerScheme ?? 'http';
    const initialCluster = places
      .map(({ name, peerPort }) => `${name}=${scheme}://127.0.0.1:${peerPort}`)
      .join(',');
    const members = await Promise.all(
      places.map((place) =>
        MemberProcess.create(kind, { ...options, place: { ...place, initialCluster, state: 'new' } }),
      ),
    );
    return new MemberCluster(kind, options, members);
  }

  /** `127.0.0.1:port` of every member, separated by commas, as etcdctl takes them. */
  get addresses(): string {
    return this.members.map(({ address }) => address).join(',');
  }

  get urls(): string[] {
    return this.members.map(({ url }) => url);
  }

  /** Starts every member; resolves when all serve clients. */
  async start(): Promise<void> {
    await Promise.all(this.members.map((member) => member.start()));
  }

  /** A further member, not started yet; it must be added to the cluster by its name and peer URL before. */
  async prepareJoining(name: string): Promise<MemberProcess> {
    const [clientPort, peerPort] = await freePorts(2);
    const others = this.members.map((member) => `${member.name}=${member.peerUrl}`);
    const scheme = this.options.peerScheme ?? 'http';
    const initialCluster = [...others, `${name}=${scheme}://127.0.0.1:${peerPort}`].join(',');
    const place = { name, initialCluster, state: 'existing' as const, clientPort, peerPort };
    const member = await MemberProcess.create(this.kind, { ...this.options, place });
    this.members.push(member);
    return member;
  }

  /** Ends every member and removes its data. */
  async remove(): Promise<void> {
    await Promise.all(this.members.map((member) => member.remove()));
  }
}
