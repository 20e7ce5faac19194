import { Buffer } from 'node:buffer';
import { segment } from '../concurrency/lock-names.js';
import { InvalidArgumentError } from '../errors.js';

export interface ServiceInstance {
  readonly service: string;
  readonly id: string;
  /** Where it answers, for example `http://10.0.0.7:3000`. */
  readonly address: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly healthy: boolean;
}

/** What an instance says of itself; the rest of it is in its key. */
export type InstanceBody = Omit<ServiceInstance, 'service' | 'id'>;

/** The prefix of the keys of all instances. @throws InvalidArgumentError for an empty name. */
export function servicePrefix(service: string): string {
  if (service === '')
    throw new InvalidArgumentError('service: the name is empty; it needs at least one character');
  return `services/${segment(service)}/`;
}

/** @throws InvalidArgumentError for an empty id. */
export function instanceKey(service: string, id: string): string {
  if (id === '')
    throw new InvalidArgumentError(`service '${service}': the id is empty; leave it out for one of its own`);
  return servicePrefix(service) + segment(id);
}

/** The format carries a version, so that a later one can be told apart. */
export function encodeInstance(body: InstanceBody): string {
  return JSON.stringify({ v: 1, ...body });
}

/** @throws Error for a value that is no instance of this format. */
export function decodeInstance(service: string, key: string, value: Uint8Array): ServiceInstance {
  const parsed: unknown = JSON.parse(Buffer.from(value).toString('utf8'));
  const body = typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {};
  const { v, address, metadata, healthy } = body;
  if (v !== 1 || typeof address !== 'string' || typeof healthy !== 'boolean' || !isTextRecord(metadata)) {
    throw new Error(`${key} holds no instance of format 1`);
  }
  const id = unescape(key.slice(servicePrefix(service).length));
  return Object.freeze({ service, id, address, metadata: Object.freeze(metadata), healthy });
}

function isTextRecord(value: unknown): value is Record<string, string> {
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).every((text) => typeof text === 'string')
  );
}

function unescape(name: string): string {
  return name.replaceAll('%2F', '/').replaceAll('%25', '%');
}
