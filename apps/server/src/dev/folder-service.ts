import { type ConclaveClient } from '@conclave/client';
import { changeLine, mistakeLine } from './dev-report.js';
import { FolderPublisher } from './folder-publisher.js';
import { type FolderMistake, type FolderScan, FolderScanner, nameOf } from './folder-scan.js';
import { placeOf } from './folder-layout.js';

export interface FolderServiceOptions {
  readonly folder: string;
  /** Of files that stand directly below their app. */
  readonly env: string;
  readonly print: (line: string) => void;
  readonly wall: () => number;
}

/**
 * Makes the store follow the folder and tells people what it does: each change and each mistake once.
 *
 * Invariant: `told` is what was printed of each file that cannot be used now; `releases` is what is in force by namespace.
 */
export class FolderService {
  private readonly scanner: FolderScanner;
  private readonly publisher: FolderPublisher;
  private readonly releases = new Map<string, bigint>();
  private told = new Map<string, string>();
  private trouble: string | undefined;

  constructor(
    client: ConclaveClient,
    private readonly options: FolderServiceOptions,
  ) {
    this.scanner = new FolderScanner(options.folder, options.env);
    this.publisher = new FolderPublisher(client, options.wall);
  }

  /** Looks at the folder and publishes what has changed. Never rejects: trouble is told, and the next call tries again. */
  async look(isFirst = false): Promise<void> {
    try {
      const scan = await this.scanner.scan();
      await this.publish(scan, isFirst);
      this.tell(scan.mistakes);
      if (this.trouble !== undefined) this.options.print('going on');
      this.trouble = undefined;
    } catch (error) {
      const trouble = error instanceof Error ? error.message : String(error);
      if (trouble !== this.trouble) this.options.print(`trouble    ${trouble}; trying again`);
      this.trouble = trouble;
    }
  }

  private async publish(scan: FolderScan, isFirst: boolean): Promise<void> {
    for (const change of await this.publisher.publish(scan)) {
      if (change.kind === 'withdrawn') this.releases.delete(nameOf(change.id));
      else this.releases.set(nameOf(change.id), change.release);
      if (isFirst || change.kind !== 'unchanged') this.options.print(changeLine(change));
    }
  }

  private tell(mistakes: readonly FolderMistake[]): void {
    const now = new Map(mistakes.map((mistake) => [mistake.file, this.lineOf(mistake)]));
    for (const [file, line] of now) if (this.told.get(file) !== line) this.options.print(line);
    for (const file of this.told.keys()) if (!now.has(file)) this.options.print(`right now  ${file}`);
    this.told = now;
  }

  private lineOf(mistake: FolderMistake): string {
    const { folder, env } = this.options;
    const place = placeOf(mistake.file, env);
    const inForce = place.kind === 'document' ? this.releases.get(nameOf(place.id)) : undefined;
    return mistakeLine(folder, mistake, inForce);
  }
}
