import { ConfigModelError } from '../error.js';
import { parseBlock } from './address.js';

/** Whom a gray release is for. All conditions that are given must hold; at least one is given. */
export interface GrayMatch {
  /** For each label one of these values; all labels must fit. */
  readonly labels?: Readonly<Record<string, readonly string[]>>;
  /** Addresses and blocks in CIDR notation, IPv4 or IPv6; one must contain the instance's. */
  readonly addresses?: readonly string[];
  /** Instance ids. */
  readonly instances?: readonly string[];
  readonly percentage?: GrayPercentage;
}

/** A stable share of the instances: raising it keeps those that were in. */
export interface GrayPercentage {
  /** 0 to 100, with up to two decimals. */
  readonly share: number;
  /** Rules with different salts choose independently; default: the name of the rule. */
  readonly salt?: string;
  /** The label whose value is hashed; default: the instance id. Instances without the label are never in. */
  readonly by?: string;
}

/** @throws ConfigModelError `invalid-rule`. */
export function checkGrayRule(rule: string, match: GrayMatch): void {
  const wrong = (what: string): ConfigModelError =>
    new ConfigModelError('invalid-rule', `the gray rule '${rule}': ${what}`);
  const { labels, addresses, instances, percentage } = match;
  if (
    labels === undefined &&
    addresses === undefined &&
    instances === undefined &&
    percentage === undefined
  ) {
    throw wrong('has no condition; a release for everyone is a normal release');
  }
  if (labels !== undefined && Object.keys(labels).length === 0) throw wrong('labels names no label');
  for (const address of addresses ?? []) {
    if (parseBlock(address) === undefined) {
      throw wrong(
        `'${address}' is neither an address nor a block such as 10.0.0.0/8 whose bits behind the prefix are 0`,
      );
    }
  }
  const share = percentage?.share ?? 0;
  if (!(share >= 0 && share <= 100) || Math.abs(share * 100 - Math.round(share * 100)) > 1e-6) {
    throw wrong(`${share} is not a percentage from 0 to 100 with at most two decimals`);
  }
}
