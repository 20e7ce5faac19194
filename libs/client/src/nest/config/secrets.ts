// Brings the metadata functions of Reflect along.
import '@nestjs/common';
const secretsKey = Symbol.for('@conclave/client/nest/config-secrets');

export function addSecret(prototype: object, property: string): void {
  Reflect.defineMetadata(secretsKey, new Set([...secretsOf(prototype), property]), prototype);
}

/** The properties of a class that are secret, inherited ones too. */
export function secretsOf(prototype: object): ReadonlySet<string> {
  return (Reflect.getMetadata(secretsKey, prototype) as ReadonlySet<string> | undefined) ?? new Set();
}
