/** Of class-transformer. */
export type PlainToInstance = (
  type: new () => object,
  plain: object,
  options: { readonly exposeDefaultValues: boolean },
) => object;

const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const integer = /^[+-]?\d+$/;

/**
 * Makes of texts what the properties are declared to be, where the text is one: documents of properties, environment variables and
 * plain keys have texts only. What is none stays as it is, for the validators to say so. Plain objects become instances of the class that
 * the property is declared with. Goes down to members that are instances of classes.
 *
 * Knows the declarations that TypeScript emits for decorated properties (`emitDecoratorMetadata`), and initializers.
 */
export function convertByDeclaration(instance: object, plainToInstance: PlainToInstance): void {
  const members = instance as Record<string, unknown>;
  const prototype = Object.getPrototypeOf(instance) as object;
  for (const [name, value] of Object.entries(members)) {
    const declared = declaredType(prototype, name);
    const converted = convertedTo(declared, value, plainToInstance);
    if (converted !== value) members[name] = converted;
    for (const part of Array.isArray(converted) ? (converted as unknown[]) : [converted]) {
      if (isInstanceOfClass(part)) convertByDeclaration(part, plainToInstance);
    }
  }
}

/** As declared; without a declaration, as its initializer is: TypeScript emits nothing for `port = 80`. */
function declaredType(prototype: object, name: string): unknown {
  const declared: unknown = Reflect.getMetadata('design:type', prototype, name);
  if (declared !== undefined && declared !== Object) return declared;
  const initial = defaultsOf(prototype)[name];
  return typeof initial === 'object' || initial === undefined ? declared : Object(initial).constructor;
}

const defaults = new WeakMap<object, Readonly<Record<string, unknown>>>();

function defaultsOf(prototype: object): Readonly<Record<string, unknown>> {
  let found = defaults.get(prototype);
  if (found === undefined) {
    found = new (prototype.constructor as new () => Record<string, unknown>)();
    defaults.set(prototype, found);
  }
  return found;
}

function convertedTo(declared: unknown, value: unknown, plainToInstance: PlainToInstance): unknown {
  if (typeof value === 'string') {
    const text = value.trim();
    if (declared === Number && number.test(text)) return Number(text);
    if (declared === BigInt && integer.test(text)) return BigInt(text);
    if (declared === Boolean && (text === 'true' || text === 'false')) return text === 'true';
    return value;
  }
  if (isPlain(value) && isOwnClass(declared)) {
    return plainToInstance(declared, value, { exposeDefaultValues: true });
  }
  return value;
}

function isOwnClass(declared: unknown): declared is new () => object {
  return typeof declared === 'function' && !builtIn.has(declared);
}

const builtIn = new Set<unknown>([
  Object,
  Array,
  String,
  Number,
  Boolean,
  BigInt,
  Symbol,
  Date,
  Map,
  Set,
  Promise,
  Function,
]);

function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** True for instances of classes of the application, and not for what the language brings along. */
export function isInstanceOfClass(value: unknown): value is object {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || isPlain(value)) return false;
  return Object.prototype.toString.call(value) === '[object Object]';
}
