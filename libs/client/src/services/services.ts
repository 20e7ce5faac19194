import { distinctUntilChanged, map, type Observable } from 'rxjs';
import { type StateView } from '../watch/state.js';
import { type ServiceContext } from './context.js';
import { decodeInstance, type ServiceInstance, servicePrefix } from './instance.js';
import { randomName } from './own-put.js';
import { type RegisterOptions, Registration } from './registration.js';

/** Who offers a service, and where. */
export class Services {
  constructor(private readonly context: ServiceContext) {}

  /**
   * Puts this instance into the list of a service for as long as it lives. Resolves when it is there.
   *
   * @throws InvalidArgumentError for an empty name or id; any ConclaveError when the store cannot be written (rejects).
   */
  async register(service: string, options: RegisterOptions): Promise<Registration> {
    const { host, random } = this.context;
    const id = options.id ?? `${host.identity}:${randomName(random)}`;
    return new Registration(this.context, service, id, options).begin();
  }

  /**
   * The instances now and after each change, sorted by id; the last known ones while the store cannot be reached. Without
   * `all` the healthy ones only.
   */
  instances$(
    service: string,
    options: { readonly all?: boolean } = {},
  ): Observable<readonly ServiceInstance[]> {
    const prefix = servicePrefix(service);
    const codec = {
      decode: (value: Uint8Array, key: string): ServiceInstance => decodeInstance(service, key, value),
    };
    return this.context.watches.state(prefix, { codec, keepWarm: 0 }).pipe(
      map((view) => listed(view, options.all ?? false)),
      distinctUntilChanged((a, b) => a.length === b.length && a.every((instance, at) => instance === b[at])),
    );
  }
}

function listed(view: StateView<ServiceInstance>, all: boolean): readonly ServiceInstance[] {
  return [...view.entries.values()]
    .map((entry) => entry.value)
    .filter((instance) => all || instance.healthy)
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}
