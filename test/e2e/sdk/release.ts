import { type ConclaveClient, op } from '@conclave/client';
import {
  currentKey,
  type DocumentFormat,
  encodeCurrent,
  encodeGray,
  encodeRelease,
  grayKey,
  type GrayMatch,
  parseRef,
  releaseKey,
} from '@conclave/config-model';
import { createHash } from 'node:crypto';

/** A document to release, of the environment `dev`. */
export interface Draft {
  readonly content: string;
  readonly format?: DocumentFormat;
  readonly extends?: readonly string[];
  readonly gray?: { readonly rule: string; readonly match: GrayMatch };
}

/** Above it the documents of one transaction stand in their releases only. */
const mostInlineBytes = 1024 * 1024;

/** Releases documents (by `app/namespace`) as the center does: the releases first, then every pointer in one transaction. */
export async function release(
  client: ConclaveClient,
  number: bigint,
  drafts: Readonly<Record<string, Draft>>,
): Promise<bigint> {
  const group = Object.keys(drafts).length > 1 ? Object.keys(drafts).map(parseRef) : [];
  const bytes = Object.values(drafts).reduce((sum, draft) => sum + Buffer.byteLength(draft.content), 0);
  const pointers = [];
  for (const [name, { content, format = 'yaml', extends: below = [], gray }] of Object.entries(drafts)) {
    const id = { ...parseRef(name), env: 'dev' };
    const sha256 = createHash('sha256').update(content).digest('hex');
    const row = { number, sha256, format, extends: below.map(parseRef), content };
    const told = { author: 'ann', comment: '', createdAt: 0, basedOn: number - 1n };
    await client.kv.put(releaseKey(id, number), encodeRelease({ ...row, ...told }));
    const inline = bytes <= mostInlineBytes ? content : undefined;
    const head = { release: number, sha256, format, extends: row.extends, group, content: inline };
    pointers.push(
      gray === undefined
        ? op.put(currentKey(id), encodeCurrent(head))
        : op.put(grayKey(id, gray.rule), encodeGray({ ...head, priority: 0, match: gray.match })),
    );
  }
  return (
    await client.kv
      .txn()
      .do(...pointers)
      .commit()
  ).revision;
}
