import { Module } from '@nestjs/common';
import { GatewayController } from './gateway.controller.js';
import { HealthController } from './health.controller.js';
import { StatusController } from './status.controller.js';

/** Everything of etcd that is served over plain HTTP: the JSON API, health, version and metrics. */
@Module({ controllers: [GatewayController, HealthController, StatusController] })
export class HttpApiModule {}
