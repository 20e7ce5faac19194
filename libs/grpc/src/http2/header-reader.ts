import { type Buffer } from 'node:buffer';
import { HpackDecoder } from '../hpack/decoder.js';
import { ANY_GENERATION, BlockCache } from './block-cache.js';
import { type HeaderBlock } from './header-block.js';
import { validateHeaders } from './header-validation.js';
import { type ResolvedOptions } from './options.js';
import { type ConnectionStats } from './stats.js';

/** Turns the header blocks of the peer into validated fields, in their order of arrival. */
export class HeaderReader {
  private readonly decoder: HpackDecoder;
  private readonly cache = new BlockCache();

  constructor(
    options: ResolvedOptions,
    private readonly stats: ConnectionStats,
  ) {
    this.decoder = new HpackDecoder({
      tableSizeMax: options.headerTableSize,
      headerListBytesMax: options.maxHeaderListBytes,
      stringBytesMax: options.maxHeaderBlockBytes,
    });
  }

  /** Our SETTINGS_HEADER_TABLE_SIZE is in force. */
  settingsAcknowledged(): void {
    this.decoder.settingsAcknowledged();
  }

  /**
   * The block `buffer[start, end)`, or undefined when its header list is larger than `maxHeaderListBytes`.
   *
   * @throws HpackError when it cannot be decoded.
   */
  read(buffer: Buffer, start: number, end: number): HeaderBlock | undefined {
    const decoder = this.decoder;
    const generation = decoder.generation;
    const known = decoder.owesUpdate ? undefined : this.cache.find(buffer, start, end, generation);
    if (known !== undefined) {
      this.stats.cachedHeaderBlocks++;
      return known;
    }
    const fields = decoder.decode(buffer, start, end);
    if (decoder.truncated) return undefined;
    const block = validateHeaders(fields);
    if (decoder.generation === generation && block.kind !== 'malformed') {
      this.cache.offer(buffer, start, end, decoder.usedDynamicTable ? generation : ANY_GENERATION, block);
    }
    return block;
  }
}
