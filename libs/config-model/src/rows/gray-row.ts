import { checkGrayRule, type GrayMatch } from '../gray/gray-rule.js';
import { isTree, type ConfigTree } from '../value.js';
import { ConfigModelError } from '../error.js';
import { type DocumentHead, headFields, readHead } from './document-head.js';
import { RowReader, rowVersion } from './row-reader.js';

/** The value of `…/gray/<rule>`: a release for the instances that the rule matches. */
export interface GrayRow extends DocumentHead {
  /** Of several rules that match, the highest wins; of equal ones the first by name. */
  readonly priority: number;
  readonly match: GrayMatch;
}

/**
 * @param rule its name, for messages.
 * @throws ConfigModelError `invalid-row`, `newer-format`, `invalid-rule`, `invalid-name`.
 */
export function decodeGray(text: string, rule: string): GrayRow {
  const row = RowReader.open(text, `the gray release '${rule}'`);
  const match = readMatch(row.object('match'), rule);
  checkGrayRule(rule, match);
  return { ...readHead(row), priority: row.integer('priority'), match };
}

export function encodeGray(row: GrayRow): string {
  const { priority, match } = row;
  return JSON.stringify({ version: rowVersion, priority, match, ...headFields(row) });
}

const known = ['labels', 'addresses', 'instances', 'percentage'];

/** A condition that this program does not know would match too many instances: the rule is refused. */
function readMatch(fields: ConfigTree, rule: string): GrayMatch {
  const wrong = (what: string): ConfigModelError =>
    new ConfigModelError('invalid-rule', `the gray rule '${rule}': ${what}`);
  const unknown = Object.keys(fields).find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw wrong(`the condition '${unknown}' is not known; known are ${known.join(', ')}`);
  const texts = (value: unknown, what: string): readonly string[] => {
    if (Array.isArray(value) && value.every((item): item is string => typeof item === 'string')) return value;
    throw wrong(`${what} is not a list of texts`);
  };
  const { labels, addresses, instances, percentage } = fields;
  if (labels !== undefined && !isTree(labels)) throw wrong('labels is not an object');
  if (percentage !== undefined && !isTree(percentage)) throw wrong('percentage is not an object');
  const { share, salt, by } = percentage ?? {};
  if (percentage !== undefined && typeof share !== 'number') throw wrong('percentage.share is not a number');
  if (salt !== undefined && typeof salt !== 'string') throw wrong('percentage.salt is not text');
  if (by !== undefined && typeof by !== 'string') throw wrong('percentage.by is not text');
  return {
    ...(labels === undefined
      ? {}
      : {
          labels: Object.fromEntries(
            Object.entries(labels).map(([name, value]) => [name, texts(value, `labels.${name}`)]),
          ),
        }),
    ...(addresses === undefined ? {} : { addresses: texts(addresses, 'addresses') }),
    ...(instances === undefined ? {} : { instances: texts(instances, 'instances') }),
    ...(typeof share === 'number'
      ? {
          percentage: {
            share,
            ...(typeof salt === 'string' ? { salt } : {}),
            ...(typeof by === 'string' ? { by } : {}),
          },
        }
      : {}),
  };
}
