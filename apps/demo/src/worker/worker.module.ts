import { Module } from '@nestjs/common';
import { Campaigner } from './campaigner.service.js';
import { ConclaveModule } from './conclave.module.js';
import { ConfigWatcher } from './config-watcher.service.js';
import { LockRunner } from './lock-runner.service.js';
import { Reporter } from './reporter.service.js';

/** A worker of an application: it follows its configuration, takes a lock and runs for leader. */
@Module({ imports: [ConclaveModule], providers: [Reporter, ConfigWatcher, LockRunner, Campaigner] })
export class WorkerModule {}
