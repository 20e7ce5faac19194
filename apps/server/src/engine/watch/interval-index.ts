import { type ByteString } from '../backend/backend.js';

/** One distinct interval, `from <= key < to` (`to` undefined: no upper bound), and what belongs to it. */
class Node<V> {
  left: Node<V> | undefined = undefined;
  right: Node<V> | undefined = undefined;
  height = 1;
  /** The greatest `to` in this subtree; undefined: at least one has no upper bound. */
  maxTo: ByteString | undefined;

  constructor(
    public from: ByteString,
    public to: ByteString | undefined,
    public value: V,
  ) {
    this.maxTo = to;
  }
}

/**
 * Intervals of keys, each with a value, that tells which of them contain a key in O(log n + found).
 *
 * An AVL tree ordered by (from, to), augmented with the greatest end of each subtree (Cormen et al., "Introduction to
 * Algorithms", interval trees): a subtree whose greatest end is at or below the key holds nothing for it.
 *
 * Invariants: heights of siblings differ by one at most; `maxTo` covers the whole subtree.
 */
export class IntervalIndex<V> {
  private root: Node<V> | undefined = undefined;
  private count = 0;

  /** Number of distinct intervals. */
  get size(): number {
    return this.count;
  }

  get(from: ByteString, to: ByteString | undefined): V | undefined {
    let node = this.root;
    while (node !== undefined) {
      const order = compare(from, to, node);
      if (order === 0) return node.value;
      node = order < 0 ? node.left : node.right;
    }
    return undefined;
  }

  /** Adds an interval, or replaces its value. */
  set(from: ByteString, to: ByteString | undefined, value: V): void {
    this.root = this.insert(this.root, from, to, value);
  }

  /** @returns false when the interval was not there. */
  delete(from: ByteString, to: ByteString | undefined): boolean {
    const before = this.count;
    this.root = this.remove(this.root, from, to);
    return this.count < before;
  }

  /** Appends the values of all intervals that contain `key`, in order of (from, to). */
  collect(key: ByteString, into: V[]): void {
    if (this.root !== undefined) collectFrom(this.root, key, into);
  }

  private insert(node: Node<V> | undefined, from: ByteString, to: ByteString | undefined, value: V): Node<V> {
    if (node === undefined) {
      this.count++;
      return new Node(from, to, value);
    }
    const order = compare(from, to, node);
    if (order === 0) {
      node.value = value;
      return node;
    }
    if (order < 0) node.left = this.insert(node.left, from, to, value);
    else node.right = this.insert(node.right, from, to, value);
    return balance(node);
  }

  private remove(
    node: Node<V> | undefined,
    from: ByteString,
    to: ByteString | undefined,
  ): Node<V> | undefined {
    if (node === undefined) return undefined;
    const order = compare(from, to, node);
    if (order < 0) node.left = this.remove(node.left, from, to);
    else if (order > 0) node.right = this.remove(node.right, from, to);
    else {
      if (node.left === undefined || node.right === undefined) {
        this.count--;
        return node.left ?? node.right;
      }
      // The next greater interval takes this place.
      let next = node.right;
      while (next.left !== undefined) next = next.left;
      node.from = next.from;
      node.to = next.to;
      node.value = next.value;
      node.right = this.remove(node.right, next.from, next.to);
    }
    return balance(node);
  }
}

/** Order of an interval and a node's: by start, then by end; no upper bound is the greatest end. */
function compare<V>(from: ByteString, to: ByteString | undefined, node: Node<V>): number {
  if (from !== node.from) return from < node.from ? -1 : 1;
  if (to === node.to) return 0;
  if (to === undefined) return 1;
  if (node.to === undefined) return -1;
  return to < node.to ? -1 : 1;
}

function collectFrom<V>(node: Node<V>, key: ByteString, into: V[]): void {
  if (node.left !== undefined && endsAfter(node.left.maxTo, key)) collectFrom(node.left, key, into);
  if (key < node.from) return;
  if (endsAfter(node.to, key)) into.push(node.value);
  if (node.right !== undefined && endsAfter(node.right.maxTo, key)) collectFrom(node.right, key, into);
}

function endsAfter(to: ByteString | undefined, key: ByteString): boolean {
  return to === undefined || to > key;
}

function balance<V>(node: Node<V>): Node<V> {
  const tilt = heightOf(node.left) - heightOf(node.right);
  if (tilt > 1 && node.left !== undefined) {
    if (heightOf(node.left.left) < heightOf(node.left.right)) node.left = rotateLeft(node.left);
    return rotateRight(node);
  }
  if (tilt < -1 && node.right !== undefined) {
    if (heightOf(node.right.right) < heightOf(node.right.left)) node.right = rotateRight(node.right);
    return rotateLeft(node);
  }
  update(node);
  return node;
}

function rotateRight<V>(node: Node<V>): Node<V> {
  const top = node.left;
  if (top === undefined) return node;
  node.left = top.right;
  top.right = node;
  update(node);
  update(top);
  return top;
}

function rotateLeft<V>(node: Node<V>): Node<V> {
  const top = node.right;
  if (top === undefined) return node;
  node.right = top.left;
  top.left = node;
  update(node);
  update(top);
  return top;
}

function update<V>(node: Node<V>): void {
  const { left, right } = node;
  node.height = 1 + Math.max(heightOf(left), heightOf(right));
  let { to } = node;
  if (left !== undefined) to = later(to, left.maxTo);
  if (right !== undefined) to = later(to, right.maxTo);
  node.maxTo = to;
}

function later(one: ByteString | undefined, other: ByteString | undefined): ByteString | undefined {
  if (one === undefined || other === undefined) return undefined;
  return one > other ? one : other;
}

function heightOf<V>(node: Node<V> | undefined): number {
  return node === undefined ? 0 : node.height;
}
