import { Buffer } from 'node:buffer';
import {
  createFileRegistry,
  type DescMessage,
  type DescMethod,
  fromBinary,
  fromJson,
  type JsonValue,
  type Registry,
  toBinary,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { fileDescriptorSet } from '@conclave/protocol';
import { parseExactJson } from './exact-json.js';
import { InvalidJson } from './json-splitter.js';
import { JsonWriter } from './json-writer.js';

/** How one method's messages are written in JSON, by protobuf's canonical mapping with etcd's choices in it. */
export interface MethodCodec {
  readonly kind: DescMethod['methodKind'];
  /**
   * JSON text to an encoded request. Field names are accepted as declared and in lowerCamelCase, unknown ones ignored.
   * @throws InvalidJson when the text is not JSON or does not fit the message.
   */
  encodeRequest(json: string): Uint8Array;
  /** Encoded responses to JSON text: declared field names, defaults left out, 64-bit numbers as strings, bytes in base64. */
  readonly responses: JsonWriter;
}

/** Every method of the protocol by its gRPC path, from the descriptors of the .proto files. */
export function createMethodCodecs(): ReadonlyMap<string, MethodCodec> {
  const registry = createFileRegistry(
    fromBinary(FileDescriptorSetSchema, Buffer.from(fileDescriptorSet, 'base64')),
  );
  const codecs = new Map<string, MethodCodec>();
  for (const type of registry) {
    if (type.kind !== 'service') continue;
    for (const method of type.methods) {
      codecs.set(`/${type.typeName}/${method.name}`, new DescriptorCodec(method, registry));
    }
  }
  return codecs;
}

class DescriptorCodec implements MethodCodec {
  readonly kind: DescMethod['methodKind'];
  readonly #input: DescMessage;
  readonly responses: JsonWriter;

  constructor(
    method: DescMethod,
    private readonly registry: Registry,
  ) {
    this.kind = method.methodKind;
    this.#input = method.input;
    this.responses = new JsonWriter(method.output);
  }

  encodeRequest(json: string): Uint8Array {
    const value = parseExactJson(json) as JsonValue;
    try {
      return toBinary(
        this.#input,
        fromJson(this.#input, value, { ignoreUnknownFields: true, registry: this.registry }),
      );
    } catch (error) {
      throw new InvalidJson(error instanceof Error ? error.message : String(error), { cause: error });
    }
  }
}
