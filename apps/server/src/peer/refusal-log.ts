import { type LogFields, type Logger } from '../engine/platform/logger.js';

/** Lines that are remembered; beyond them somebody is making names up, and nothing more is logged. */
const rememberedMax = 1_024;

/** Says once per peer and cause that the two do not speak with each other, however often they try. */
export class RefusalLog {
  readonly #said = new Set<string>();

  constructor(private readonly logger: Logger) {}

  /** @param peer Names the peer, as far as it is known. */
  say(
    peer: string,
    cause: string,
    message: string,
    fields: LogFields = {},
    level: 'warn' | 'error' = 'warn',
  ): void {
    const key = `${peer} ${cause}`;
    if (this.#said.has(key) || this.#said.size >= rememberedMax) return;
    this.#said.add(key);
    this.logger[level](message, { peer, cause, ...fields });
  }

  /** The peer speaks with us now: its next refusal is news. */
  forget(peer: string): void {
    for (const key of this.#said) if (key.startsWith(`${peer} `)) this.#said.delete(key);
  }
}
