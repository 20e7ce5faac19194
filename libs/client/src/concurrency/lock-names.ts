import { InvalidArgumentError } from '../errors.js';

/** The kinds of queues, which are the folders of their keys. */
export type QueueKind = 'locks' | 'rwlocks' | 'elections';

/**
 * The prefix of the queue's keys: `<key prefix>locks/<name>/` and so on for each kind; with `raw` the name
 * itself and a slash, which is where etcd's own tools put theirs.
 *
 * A slash in a name is written as %2F (and % as %25), except with `raw`: otherwise the keys of `a/b` would stand in the
 * queue of `a`.
 *
 * @throws InvalidArgumentError for an empty name.
 */
export function queuePrefix(kind: QueueKind, name: string, keyPrefix: string, raw: boolean): string {
  if (name === '')
    throw new InvalidArgumentError(`${kind}: the name is empty; it needs at least one character`);
  if (raw) return `${name}/`;
  return `${keyPrefix}${kind}/${segment(name)}/`;
}

/** The name as one segment of a key. */
export function segment(name: string): string {
  return name.replaceAll('%', '%25').replaceAll('/', '%2F');
}
