import { Injectable } from '@nestjs/common';
import { type Report } from '../report.js';

/** Sends what happens in this worker to the stage. */
@Injectable()
export class Reporter {
  report(report: Report): void {
    process.send?.(report);
  }
}
