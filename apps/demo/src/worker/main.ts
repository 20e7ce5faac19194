import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { type StageMessage } from '../report.js';
import { Reporter } from './reporter.service.js';
import { WorkerModule } from './worker.module.js';

const application = await NestFactory.createApplicationContext(WorkerModule, { logger: ['warn', 'error'] });
application.get(Reporter).report({ kind: 'ready' });

process.on('message', (message: StageMessage) => {
  if (message.kind !== 'stop') return;
  void application.close().then(() => process.exit(0));
});
process.on('disconnect', () => process.exit(1));
