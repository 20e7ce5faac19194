import { registerFeature } from '../module/explorer.js';
import { applicationOf } from '../shutdown/application.js';

const key = Symbol.for('@conclave/client/nest/jobs');

/** Makes the start of the application look whether anything would run the method. */
export function addJob(method: object): void {
  Reflect.defineMetadata(key, true, method);
}

registerFeature({
  key,
  onlyStatic: '@LeaderCron and @CronOnce',
  bind: ({ instance, methodName, connections }) => {
    applicationOf(connections).jobs.add(`${instance.constructor.name}.${methodName}`);
  },
});
