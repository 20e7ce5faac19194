import { type Flag } from './flag.js';
import { clusteringFlags } from './flags/clustering.js';
import { inertMemberFlags, memberFlags } from './flags/member.js';
import { observabilityFlags, tuningFlags } from './flags/observability.js';
import { securityFlags } from './flags/security.js';

/** Every option of the server, by the name of its property; the single source of parsing, checks, help and types. */
export const flagTable = {
  ...memberFlags,
  ...clusteringFlags,
  ...securityFlags,
  ...observabilityFlags,
  ...tuningFlags,
  ...inertMemberFlags,
} as const;

export type OptionName = keyof typeof flagTable;

/** The value of every option. Durations are milliseconds, sizes are bytes. */
export type OptionValues = {
  readonly [K in OptionName]: (typeof flagTable)[K] extends Flag<infer T> ? T : never;
};

/** Flags as `--help` groups them. */
export const flagGroups: readonly { readonly title: string; readonly flags: readonly Flag<unknown>[] }[] = [
  { title: 'Member', flags: Object.values(memberFlags) },
  { title: 'Clustering', flags: Object.values(clusteringFlags) },
  { title: 'Security', flags: Object.values(securityFlags) },
  { title: 'Logging and metrics', flags: Object.values(observabilityFlags) },
  { title: 'Tuning', flags: Object.values(tuningFlags) },
  { title: 'Accepted for compatibility with etcd, without effect', flags: Object.values(inertMemberFlags) },
];

export const optionNames = Object.keys(flagTable) as readonly OptionName[];

const nameOfFlag = new Map<string, OptionName>();
for (const name of optionNames) {
  const flag: Flag<unknown> = flagTable[name];
  for (const spelling of [flag.flag, ...flag.aliases]) nameOfFlag.set(spelling, name);
}

/** The option that a flag's name, or one of its older names, stands for. */
export function optionOf(flag: string): OptionName | undefined {
  return nameOfFlag.get(flag);
}

/** All names under which a flag can be given, older ones included. */
export const knownFlags: readonly string[] = [...nameOfFlag.keys()];

/** `listen-client-urls` as the environment spells it: `LISTEN_CLIENT_URLS`. */
export function environmentSuffix(flag: string): string {
  return flag.toUpperCase().replaceAll('-', '_');
}
