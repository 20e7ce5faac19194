import { ConfigClass, ConfigKey } from '@conclave/client/nest';
import { IsInt, Max, Min } from 'class-validator';

/** Under `config/billing/` in the store. Without a value there, the default holds. */
@ConfigClass({ keys: 'config/billing/' })
export class BillingConfig {
  @ConfigKey('retry.max', { default: 3 })
  @IsInt()
  @Min(0)
  @Max(10)
  readonly retryMax!: number;
}
