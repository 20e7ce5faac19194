import { ConclaveModule } from '@conclave/client/nest';
import { Module } from '@nestjs/common';
import { BillingConfig } from './billing.config.js';
import { BillingService } from './billing.service.js';
import { Ledger } from './ledger.js';

@Module({
  imports: [ConclaveModule.forFeature([BillingConfig])],
  providers: [BillingService, Ledger],
  exports: [BillingService, Ledger],
})
export class BillingModule {}
