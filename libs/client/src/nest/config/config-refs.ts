import { type ConfigValue } from '@conclave/config-model';
import { type ConfigClassRef } from '../../config/config-class.js';
import { type ConfigRef } from '../../config/config-ref.js';

export interface UsedConfigClass {
  /** The name of the connection. */
  readonly name: string;
  readonly configClass: ConfigClassRef<object>;
  readonly ref: ConfigRef<object>;
}

/** The config classes that `forFeature` names, and what the application's own configuration says. */
export class ConfigRefs {
  private readonly used: UsedConfigClass[] = [];
  /** The application's own value of a path, below the store. Set when ConfigService is found. */
  applicationValue: (path: string) => ConfigValue | undefined = () => undefined;

  /** How often each method with @OnConfigChange ended well, and how often it failed. */
  readonly handlers = new Map<string, { ok: number; failed: number }>();

  add(entry: UsedConfigClass): void {
    if (this.find(entry.name, entry.configClass) === undefined) this.used.push(entry);
  }

  find(name: string, configClass: ConfigClassRef<object>): ConfigRef<object> | undefined {
    return this.used.find((one) => one.name === name && one.configClass === configClass)?.ref;
  }

  handled(handler: string, isOk: boolean): void {
    const counts = this.handlers.get(handler) ?? { ok: 0, failed: 0 };
    counts[isOk ? 'ok' : 'failed'] += 1;
    this.handlers.set(handler, counts);
  }

  all(): readonly UsedConfigClass[] {
    return this.used;
  }
}
