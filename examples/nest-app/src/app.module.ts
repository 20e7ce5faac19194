import { ConclaveModule } from '@conclave/client/nest';
import { Module } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { BillingModule } from './billing.module.js';

@Module({
  imports: [
    ConclaveModule.forRoot({
      endpoints: (process.env['CONCLAVE_ENDPOINTS'] ?? '127.0.0.1:2379').split(','),
      app: 'shop',
      env: 'dev',
    }),
    ScheduleModule.forRoot(),
    BillingModule,
  ],
})
export class AppModule {}
