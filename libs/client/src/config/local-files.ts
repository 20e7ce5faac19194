import {
  type ConfigValue,
  documentFormats,
  type ParsedDocument,
  parseDocument,
  splitPath,
} from '@conclave/config-model';
import { type PinnedState } from '../cache/cache-store.js';
import { decodePinned } from '../cache/pinned-format.js';
import { type Clock, type Timer } from '../runtime.js';
import { type ConfigSettings, namespaceName } from './config-options.js';

/** A document that an operator pinned. */
export interface PinnedDocument {
  readonly document: ParsedDocument;
  readonly text: string;
  readonly source: string;
}

/** How often the files are looked at. */
const lookEveryMs = 5_000;

/**
 * What an operator wrote beside the application: the pinned documents of the cache and the override file. Looked at from time to time;
 * a file that cannot be used is a warning, and what it said before stays in force until it can be used or is gone.
 */
export class LocalFiles {
  /** By `app/namespace`. */
  pinned: ReadonlyMap<string, PinnedDocument> = new Map();
  /** By `app/namespace`, then by path. */
  overrides: ReadonlyMap<string, ReadonlyMap<string, ConfigValue>> = new Map();
  private seenPinned = '';
  private seenOverride = '';
  private timer: Timer | undefined;
  private isClosed = false;

  constructor(
    private readonly settings: ConfigSettings,
    private readonly cacheId: readonly string[],
    private readonly clock: Clock,
    private readonly changed: () => void,
  ) {}

  /** Resolves when the files have been looked at for the first time. */
  async start(): Promise<void> {
    const hasFiles = this.settings.overrideFile !== undefined || this.settings.cache?.pinned !== undefined;
    if (!hasFiles) return;
    await this.look();
    if (!this.isClosed) this.timer = this.clock.setTimer(lookEveryMs, () => void this.start());
  }

  close(): void {
    this.isClosed = true;
    this.timer?.cancel();
  }

  private async look(): Promise<void> {
    const changes = [await this.lookAtPinned(), await this.lookAtOverride()];
    if (changes.includes(true) && !this.isClosed) this.changed();
  }

  private async lookAtPinned(): Promise<boolean> {
    const { cache } = this.settings;
    try {
      const state = await cache?.pinned?.(this.cacheId);
      const seen = state === undefined ? '' : JSON.stringify([...state.entries]);
      if (seen === this.seenPinned) return false;
      this.seenPinned = seen;
      this.pinned = state === undefined ? new Map() : this.pinnedDocuments(state);
      return true;
    } catch (error) {
      this.warn(`the pinned configuration is not used: ${messageOf(error)}`);
      return false;
    }
  }

  private pinnedDocuments(state: PinnedState): ReadonlyMap<string, PinnedDocument> {
    const documents = new Map<string, PinnedDocument>();
    for (const [asked, entry] of state.entries) {
      const { format, content } = (entry ?? {}) as { readonly format?: unknown; readonly content?: unknown };
      const known = documentFormats.find((candidate) => candidate === format);
      if (known === undefined) throw new Error(`'${asked}' has no "format" of ${documentFormats.join(', ')}`);
      const text =
        typeof content === 'string' ? content : known === 'json' ? JSON.stringify(content) : undefined;
      if (text === undefined)
        throw new Error(`'${asked}' has no "content" that is text, or an object for json`);
      const document = parseDocument(known, text);
      documents.set(namespaceName(this.settings, asked), { document, text, source: state.source });
    }
    return documents;
  }

  private async lookAtOverride(): Promise<boolean> {
    const { overrideFile, files } = this.settings;
    if (overrideFile === undefined) return false;
    try {
      const seen = (await files.read(overrideFile))?.toString('utf8') ?? '';
      if (seen === this.seenOverride) return false;
      this.seenOverride = seen;
      this.overrides = seen === '' ? new Map() : this.overrideValues(seen, overrideFile);
      return true;
    } catch (error) {
      this.warn(`${overrideFile} is not used: ${messageOf(error)}`);
      return false;
    }
  }

  private overrideValues(text: string, source: string): Map<string, ReadonlyMap<string, ConfigValue>> {
    const overrides = new Map<string, ReadonlyMap<string, ConfigValue>>();
    for (const [asked, entry] of decodePinned(text, source).entries) {
      if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
        throw new Error(`'${asked}' is not an object of values by path`);
      }
      const values = new Map(Object.entries(entry as Record<string, ConfigValue>));
      for (const path of values.keys()) splitPath(path);
      overrides.set(namespaceName(this.settings, asked), values);
    }
    return overrides;
  }

  private warn(message: string): void {
    this.settings.warn({ code: 'pinned-unusable', message });
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
