export { configCenterLoader, type ConfigCenterLoaderOptions } from './config-service/config-center-loader.js';
export { type DecoratedClassOptions } from './config/class-metadata.js';
export { ConfigClass, ConfigKey, Secret } from './config/decorators.js';
export {
  type ConfigChangeHandler,
  OnConfigChange,
  type OnConfigChangeOptions,
} from './config/on-config-change.js';
export { type StandardSchema } from './config/standard-schema.js';
export { ConclaveHealthIndicator, type HealthOptions } from './health/health-indicator.js';
export { type HealthDetails, type HealthStatus } from './health/judge-health.js';
export { type HealthResult } from './health/terminus-result.js';
export { type LeaderGuardOptions, LeaderGuard } from './leadership/leader-guard.js';
export { type FollowerContext, LeaderOnly, type LeaderOnlyOptions } from './leadership/leader-only.js';
export { type Deposition, OnDeposed, OnElected, type RoleEventOptions } from './leadership/role-events.js';
export { WithLock, type WithLockOptions } from './locks/with-lock.js';
export { HeldLock, LeaderSignal, StopSignal } from './methods/marked-parameters.js';
export { ConclaveMetrics, type ScrapedRegistry } from './metrics/conclave-metrics.js';
export { type MetricsOptions } from './metrics/metrics-options.js';
export { ConclaveModule } from './module/conclave.module.js';
export { type NamedConnection, Connections, connectionsOf } from './module/connections.js';
export {
  InjectConclave,
  InjectConfig,
  type InjectDecorator,
  InjectElection,
  InjectLock,
} from './module/inject.js';
export {
  type ConclaveModuleAsyncOptions,
  type ConclaveModuleOptions,
  type ConfigServiceOptions,
  type FeatureOptions,
  type RoleOptions,
} from './module/options.js';
export { getConclaveToken, getConfigToken, getElectionToken, getLockToken } from './module/tokens.js';
export { type CronOptions } from './schedules/cron-options.js';
export { CronOnce, type CronOnceOptions } from './schedules/cron-once.js';
export { LeaderCron, type LeaderCronOptions } from './schedules/leader-cron.js';
