import { Global, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { ConclaveHealthIndicator } from '../health/health-indicator.js';
import { ConclaveMetrics } from '../metrics/conclave-metrics.js';
import { ApplicationHooks } from '../shutdown/application-hooks.js';
import { Connections } from './connections.js';
import { ConclaveExplorer } from './explorer.js';

/** What an application has once, however many connections it has. */
@Global()
@Module({
  imports: [DiscoveryModule],
  providers: [Connections, ConclaveExplorer, ApplicationHooks, ConclaveHealthIndicator, ConclaveMetrics],
  exports: [Connections, ConclaveHealthIndicator, ConclaveMetrics],
})
export class ConclaveCoreModule {}
