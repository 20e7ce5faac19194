type Callback = () => void | Promise<void>;

/**
 * What a Nest application goes through, for parts of the SDK that are no providers.
 *
 * Invariant: everything that was started is stopped once, and nothing is started after the stop.
 */
export class Lifecycle {
  private phase: 'starting' | 'running' | 'stopped' = 'starting';
  private readonly starting: Callback[] = [];
  private readonly stopping: Callback[] = [];

  get isRunning(): boolean {
    return this.phase === 'running';
  }

  get isStopped(): boolean {
    return this.phase === 'stopped';
  }

  /** Called when the application starts: after every onModuleInit. At once when it runs already, never when it has ended. */
  onStart(callback: Callback): void {
    if (this.phase === 'starting') this.starting.push(callback);
    else if (this.phase === 'running') void callback();
  }

  /** Called when it begins to end, and waited for. At once when it has ended. */
  onStop(callback: Callback): void {
    if (this.phase === 'stopped') void callback();
    else this.stopping.push(callback);
  }

  start(): void {
    if (this.phase !== 'starting') return;
    this.phase = 'running';
    for (const callback of this.starting.splice(0)) void callback();
  }

  async stop(): Promise<void> {
    if (this.phase === 'stopped') return;
    this.phase = 'stopped';
    await Promise.allSettled(this.stopping.splice(0).map(async (callback) => callback()));
  }
}
