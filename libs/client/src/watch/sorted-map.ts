/**
 * One entry and the subtrees beside it.
 *
 * Invariants: every key on the left is less, every key on the right is greater; `size` counts the entries; neither side weighs
 * more than `heaviest` times the other, where the weight of a tree is its size plus one. So a tree of n entries is at most
 * 2.41 log2(n) nodes deep.
 */
interface Node<V> {
  readonly key: string;
  readonly value: V;
  readonly left: Tree<V>;
  readonly right: Tree<V>;
  readonly size: number;
}
type Tree<V> = Node<V> | undefined;

/** The parameters of weight-balanced trees for which one rotation always restores the balance (Hirai and Yamamoto, 2011). */
const heaviest = 3;
const single = 2;

/**
 * A map that never changes: adding and removing give a new one, which shares all but O(log n) nodes with the old one. Its keys
 * are in ascending order (that of `<`, by UTF-16 units).
 */
export class SortedMap<V> implements ReadonlyMap<string, V> {
  private constructor(private readonly root: Tree<V>) {}

  /** Made in linear time from entries in ascending order. Of equal keys the last entry counts. */
  static of<V>(entries: readonly (readonly [string, V])[] = []): SortedMap<V> {
    return new SortedMap(built(isAscending(entries) ? entries : sortedOnce(entries), 0, undefined));
  }

  get size(): number {
    return sizeOf(this.root);
  }

  get(key: string): V | undefined {
    return find(this.root, key)?.value;
  }

  has(key: string): boolean {
    return find(this.root, key) !== undefined;
  }

  /** This map with the value under the key. */
  with(key: string, value: V): SortedMap<V> {
    return new SortedMap(inserted(this.root, key, value));
  }

  /** This map without the key; this very map when it is not in it. */
  without(key: string): SortedMap<V> {
    return this.has(key) ? new SortedMap(removed(this.root, key)) : this;
  }

  *entries(): Generator<[string, V], undefined, unknown> {
    // The path from the root: each node is given out after its left side.
    const path: Node<V>[] = [];
    for (let node = this.root; node !== undefined || path.length > 0;) {
      for (; node !== undefined; node = node.left) path.push(node);
      const next = path.pop();
      if (next === undefined) return;
      yield [next.key, next.value];
      node = next.right;
    }
  }

  *keys(): Generator<string, undefined, unknown> {
    for (const [key] of this.entries()) yield key;
  }

  *values(): Generator<V, undefined, unknown> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): Generator<[string, V], undefined, unknown> {
    return this.entries();
  }

  forEach(callback: (value: V, key: string, map: ReadonlyMap<string, V>) => void, thisArg?: unknown): void {
    for (const [key, value] of this.entries()) callback.call(thisArg, value, key, this);
  }
}

function sizeOf<V>(tree: Tree<V>): number {
  return tree === undefined ? 0 : tree.size;
}

function weightOf<V>(tree: Tree<V>): number {
  return sizeOf(tree) + 1;
}

function joined<V>(key: string, value: V, left: Tree<V>, right: Tree<V>): Node<V> {
  return { key, value, left, right, size: sizeOf(left) + sizeOf(right) + 1 };
}

function isAscending(entries: readonly (readonly [string, unknown])[]): boolean {
  let before: string | undefined;
  for (const [key] of entries) {
    if (before !== undefined && before >= key) return false;
    before = key;
  }
  return true;
}

function sortedOnce<V>(entries: readonly (readonly [string, V])[]): (readonly [string, V])[] {
  return [...new Map(entries)].sort(([a], [b]) => (a < b ? -1 : 1));
}

function built<V>(entries: readonly (readonly [string, V])[], from: number, to = entries.length): Tree<V> {
  const middle = (from + to) >> 1;
  const entry = entries[middle];
  if (from >= to || entry === undefined) return undefined;
  return joined(entry[0], entry[1], built(entries, from, middle), built(entries, middle + 1, to));
}

function find<V>(tree: Tree<V>, key: string): Tree<V> {
  let node = tree;
  while (node !== undefined && node.key !== key) node = key < node.key ? node.left : node.right;
  return node;
}

function inserted<V>(tree: Tree<V>, key: string, value: V): Node<V> {
  if (tree === undefined) return joined(key, value, undefined, undefined);
  if (key === tree.key) return joined(key, value, tree.left, tree.right);
  if (key < tree.key) return balanced(tree, inserted(tree.left, key, value), tree.right);
  return balanced(tree, tree.left, inserted(tree.right, key, value));
}

function removed<V>(tree: Tree<V>, key: string): Tree<V> {
  if (tree === undefined) return undefined;
  if (key < tree.key) return balanced(tree, removed(tree.left, key), tree.right);
  if (key > tree.key) return balanced(tree, tree.left, removed(tree.right, key));
  if (tree.left === undefined || tree.right === undefined) return tree.left ?? tree.right;
  let successor = tree.right;
  while (successor.left !== undefined) successor = successor.left;
  return balanced(successor, tree.left, removed(tree.right, successor.key));
}

/** The entry of `node` over two sides of which one was just changed by one entry. */
function balanced<V>(node: Node<V>, left: Tree<V>, right: Tree<V>): Node<V> {
  const { key, value } = node;
  if (right !== undefined && weightOf(right) > heaviest * weightOf(left)) {
    if (weightOf(right.left) < single * weightOf(right.right) || right.left === undefined) {
      return joined(right.key, right.value, joined(key, value, left, right.left), right.right);
    }
    const { left: inner } = right;
    const low = joined(key, value, left, inner.left);
    return joined(inner.key, inner.value, low, joined(right.key, right.value, inner.right, right.right));
  }
  if (left !== undefined && weightOf(left) > heaviest * weightOf(right)) {
    if (weightOf(left.right) < single * weightOf(left.left) || left.right === undefined) {
      return joined(left.key, left.value, left.left, joined(key, value, left.right, right));
    }
    const { right: inner } = left;
    const high = joined(key, value, inner.right, right);
    return joined(inner.key, inner.value, joined(left.key, left.value, left.left, inner.left), high);
  }
  return joined(key, value, left, right);
}
