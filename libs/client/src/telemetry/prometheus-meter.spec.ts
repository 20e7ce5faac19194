import * as prom from 'prom-client';
import { describe, expect, it } from 'vitest';
import { prometheusMeter } from './prometheus-meter.js';

describe('prometheus meter', () => {
  it('has the metrics of the client in a registry, which clients may share', async () => {
    const registry = new prom.Registry();
    const [first, second] = [prometheusMeter(prom, registry), prometheusMeter(prom, registry)];
    first.count('conclave_client_calls_total', { method: 'KV/Range', code: 'OK' });
    second.count('conclave_client_calls_total', { method: 'KV/Range', code: 'OK' }, 2);
    first.measure('conclave_client_call_seconds', { method: 'KV/Range' }, 0.003);
    const text = await registry.metrics();
    expect(text).toContain('conclave_client_calls_total{method="KV/Range",code="OK"} 3');
    expect(text).toContain('conclave_client_call_seconds_bucket{le="0.005",method="KV/Range"} 1');
    expect(text).toContain('conclave_client_call_seconds_bucket{le="0.0025",method="KV/Range"} 0');
    expect(text.match(/# TYPE conclave_client_/g)).toHaveLength(7);
  });
});
