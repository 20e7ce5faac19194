import { contains, parseBlock } from './address.js';
import { bucketOf, isInShare } from './bucket.js';
import { type GrayMatch } from './gray-rule.js';

/** What gray rules look at. */
export interface InstanceTraits {
  readonly instanceId: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Undefined: no rule by address matches. */
  readonly address: string | undefined;
}

/** Whether a rule is meant for this instance. */
export function matches(rule: string, match: GrayMatch, traits: InstanceTraits): boolean {
  const { labels, addresses, instances, percentage } = match;
  if (labels !== undefined && !matchesLabels(labels, traits)) return false;
  if (instances !== undefined && !instances.includes(traits.instanceId)) return false;
  if (addresses !== undefined && !matchesAddress(addresses, traits.address)) return false;
  if (percentage === undefined) return true;
  const name = percentage.by === undefined ? traits.instanceId : labelOf(traits, percentage.by);
  return name !== undefined && isInShare(bucketOf(percentage.salt ?? rule, name), percentage.share);
}

/** The gray release for an instance: of those that match the one with the highest priority, then the first by name. */
export function chooseGray<R extends { readonly priority: number; readonly match: GrayMatch }>(
  rules: ReadonlyMap<string, R>,
  traits: InstanceTraits,
): { readonly rule: string; readonly row: R } | undefined {
  let chosen: { readonly rule: string; readonly row: R } | undefined;
  for (const [rule, row] of rules) {
    if (chosen !== undefined && !goesBefore(rule, row.priority, chosen.rule, chosen.row.priority)) continue;
    if (matches(rule, row.match, traits)) chosen = { rule, row };
  }
  return chosen;
}

function goesBefore(rule: string, priority: number, otherRule: string, otherPriority: number): boolean {
  return priority === otherPriority ? rule < otherRule : priority > otherPriority;
}

function labelOf(traits: InstanceTraits, name: string): string | undefined {
  return Object.hasOwn(traits.labels, name) ? traits.labels[name] : undefined;
}

function matchesLabels(labels: Readonly<Record<string, readonly string[]>>, traits: InstanceTraits): boolean {
  return Object.entries(labels).every(([name, allowed]) => {
    const value = labelOf(traits, name);
    return value !== undefined && allowed.includes(value);
  });
}

function matchesAddress(blocks: readonly string[], text: string | undefined): boolean {
  const address = text === undefined ? undefined : parseBlock(text);
  if (address === undefined) return false;
  return blocks.some((block) => {
    const parsed = parseBlock(block);
    return parsed !== undefined && contains(parsed, address);
  });
}
