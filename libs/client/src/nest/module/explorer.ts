import {
  Inject,
  Injectable,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { InvalidArgumentError } from '../../errors.js';
import { ConclaveMetrics } from '../metrics/conclave-metrics.js';
import { bindInstance, Connections, setRunning } from './connections.js';
import { watchForShutdownHooks } from './shutdown-hooks.js';
import { clockOf } from './started-client.js';

/** A method with one of our decorators, on an instance that Nest made. */
export interface FeatureTarget<M = unknown> {
  readonly instance: object;
  readonly methodName: string;
  /** What the decorator stored. */
  readonly metadata: M;
  readonly connections: Connections;
}

/** What is done with the methods that carry a metadata key. */
export interface Feature<M = unknown> {
  readonly key: symbol;
  /** Called once for each method before any onApplicationBootstrap. What it throws fails the start. */
  bind(target: FeatureTarget<M>): void;
  /** The decorator, for the message, when it makes no sense on a class of which Nest makes an instance for each request. */
  readonly onlyStatic?: string;
}

/** Called when a decorator's file is loaded. The first one for a key holds, of whichever copy of the package. */
export function registerFeature<M>(feature: Feature<M>): void {
  const all = features();
  if (!all.has(feature.key)) all.set(feature.key, feature as Feature);
}

function features(): Map<symbol, Feature> {
  const key = Symbol.for('@conclave/client/nest/features');
  const holder = globalThis as unknown as Record<symbol, Map<symbol, Feature> | undefined>;
  return (holder[key] ??= new Map());
}

type Wrapper = ReturnType<DiscoveryService['getProviders']>[number];

/** Finds the instances of the application and the methods with our decorators. */
@Injectable()
export class ConclaveExplorer
  implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy, OnApplicationShutdown
{
  constructor(
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    @Inject(MetadataScanner) private readonly scanner: MetadataScanner,
    @Inject(Connections) private readonly connections: Connections,
    @Inject(ConclaveMetrics) private readonly metrics: ConclaveMetrics,
  ) {}

  onModuleInit(): void {
    const seen = new Set<object>();
    for (const wrapper of [...this.discovery.getProviders(), ...this.discovery.getControllers()]) {
      for (const instance of instancesOf(wrapper)) {
        if (seen.has(instance)) continue;
        seen.add(instance);
        bindInstance(instance, this.connections);
        this.bindMethods(instance);
      }
      if (!wrapper.isDependencyTreeStatic()) this.refuse(wrapper);
    }
    setRunning(this.connections, true);
  }

  onApplicationBootstrap(): void {
    const [first] = this.connections.all();
    if (first !== undefined) {
      const watching = watchForShutdownHooks(clockOf(first.options));
      this.connections.lifecycle.onStop(() => watching.cancel());
    }
    this.metrics.publish();
    this.connections.lifecycle.start();
  }

  async onModuleDestroy(): Promise<void> {
    await this.connections.lifecycle.stop();
    this.connections.values.close();
  }

  onApplicationShutdown(): void {
    setRunning(this.connections, false);
  }

  private bindMethods(instance: object): void {
    for (const [methodName, method] of this.methodsOf(Object.getPrototypeOf(instance) as object | null)) {
      for (const feature of features().values()) {
        const metadata: unknown = Reflect.getMetadata(feature.key, method);
        if (metadata === undefined) continue;
        feature.bind({ instance, methodName, metadata, connections: this.connections });
      }
    }
  }

  private refuse(wrapper: Wrapper): void {
    const prototype = (wrapper.metatype as { readonly prototype?: object } | null)?.prototype;
    for (const [methodName, method] of this.methodsOf(prototype ?? null)) {
      for (const { key, onlyStatic } of features().values()) {
        if (onlyStatic === undefined || Reflect.getMetadata(key, method) === undefined) continue;
        throw new InvalidArgumentError(
          `${onlyStatic} on ${wrapper.name}.${methodName}: Nest makes this class anew for each request; put it on one of default scope`,
        );
      }
    }
  }

  private methodsOf(prototype: object | null): [string, object][] {
    if (prototype === null || prototype === Object.prototype) return [];
    return this.scanner
      .getAllMethodNames(prototype)
      .map((name): [string, object] => [name, (prototype as Record<string, object>)[name] ?? {}])
      .filter(([, method]) => typeof method === 'function');
  }
}

function instancesOf(wrapper: Wrapper): object[] {
  if (!wrapper.isDependencyTreeStatic()) return [];
  const made = wrapper.isTransient
    ? wrapper.getStaticTransientInstances().map((host) => host?.instance as unknown)
    : [wrapper.instance as unknown];
  return made.filter((one) => typeof one === 'object' && one !== null);
}
