import { ConfigModelError } from '../error.js';
import { decodeSegment, encodeSegment } from './names.js';
import { decodeNumber, encodeNumber } from './number.js';

/** One document: of an app, in an environment. */
export interface NamespaceId {
  readonly env: string;
  readonly app: string;
  readonly namespace: string;
}

/** A running process of an app. */
export interface InstanceId {
  readonly env: string;
  readonly app: string;
  readonly instance: string;
}

/** What a key of the config center stands for. */
export type ConfigKey =
  | { readonly kind: 'current'; readonly id: NamespaceId }
  | { readonly kind: 'gray'; readonly id: NamespaceId; readonly rule: string }
  | { readonly kind: 'release'; readonly id: NamespaceId; readonly number: bigint }
  | { readonly kind: 'instance'; readonly id: InstanceId };

const configRoot = '/conclave/config/';
const releaseRoot = '/conclave/releases/';
const instanceRoot = '/conclave/instances/';

function namespacePath(id: NamespaceId): string {
  const { env, app, namespace } = id;
  return `${encodeSegment(env, 'env')}/${encodeSegment(app, 'app')}/${encodeSegment(namespace, 'namespace')}/`;
}

/** Every key of a namespace that its readers need starts so: `current` and the gray releases. */
export function namespacePrefix(id: NamespaceId): string {
  return configRoot + namespacePath(id);
}

/** The release in force. */
export function currentKey(id: NamespaceId): string {
  return `${namespacePrefix(id)}current`;
}

/** A gray release, under the name of its rule. */
export function grayKey(id: NamespaceId, rule: string): string {
  return `${namespacePrefix(id)}gray/${encodeSegment(rule, 'rule')}`;
}

/** An immutable release. */
export function releaseKey(id: NamespaceId, number: bigint): string {
  return `${releaseRoot}${namespacePath(id)}${encodeNumber(number)}`;
}

/** Where an instance reports what it runs. */
export function instanceKey(id: InstanceId): string {
  return `${instancesPrefix(id.env, id.app)}${encodeSegment(id.instance, 'instance')}`;
}

/** Every instance of an app in an environment. */
export function instancesPrefix(env: string, app: string): string {
  return `${instanceRoot}${encodeSegment(env, 'env')}/${encodeSegment(app, 'app')}/`;
}

/**
 * What a key stands for, or undefined for keys that are none of these kinds.
 *
 * @throws ConfigModelError `invalid-key` for a key of one of these kinds that is not written as it must be.
 */
export function parseKey(key: string): ConfigKey | undefined {
  if (key.startsWith(configRoot)) return parseConfig(key, segmentsOf(key, configRoot));
  if (key.startsWith(releaseRoot)) return parseRelease(key, segmentsOf(key, releaseRoot));
  if (key.startsWith(instanceRoot)) return parseInstance(key, segmentsOf(key, instanceRoot));
  return undefined;
}

function segmentsOf(key: string, root: string): readonly string[] {
  return key.slice(root.length).split('/');
}

function parseConfig(key: string, segments: readonly string[]): ConfigKey {
  const [env = '', app = '', namespace = '', kind, rule, ...rest] = segments;
  if (rest.length === 0 && kind === 'current' && rule === undefined) {
    return { kind, id: namespaceId(env, app, namespace) };
  }
  if (rest.length === 0 && kind === 'gray' && rule !== undefined) {
    return { kind, id: namespaceId(env, app, namespace), rule: decodeSegment(rule) };
  }
  throw misshapen(key, `${configRoot}<env>/<app>/<namespace>/current or …/gray/<rule>`);
}

function parseRelease(key: string, segments: readonly string[]): ConfigKey {
  const [env = '', app = '', namespace = '', number, ...rest] = segments;
  if (number === undefined || rest.length > 0) {
    throw misshapen(key, `${releaseRoot}<env>/<app>/<namespace>/<number>`);
  }
  return { kind: 'release', id: namespaceId(env, app, namespace), number: decodeNumber(number) };
}

function parseInstance(key: string, segments: readonly string[]): ConfigKey {
  const [env, app, instance, ...rest] = segments;
  if (env === undefined || app === undefined || instance === undefined || rest.length > 0) {
    throw misshapen(key, `${instanceRoot}<env>/<app>/<instance>`);
  }
  return {
    kind: 'instance',
    id: { env: decodeSegment(env), app: decodeSegment(app), instance: decodeSegment(instance) },
  };
}

function namespaceId(env: string, app: string, namespace: string): NamespaceId {
  return { env: decodeSegment(env), app: decodeSegment(app), namespace: decodeSegment(namespace) };
}

function misshapen(key: string, shape: string): ConfigModelError {
  return new ConfigModelError('invalid-key', `the key '${key}' is not of the form ${shape}`);
}
