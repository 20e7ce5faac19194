import {
  configClass,
  createClient,
  grpcTransport,
  openTelemetry,
  type TransportFactory,
} from '@conclave/client';
import { firstValueFrom } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RecordingOpenTelemetry } from '../../../libs/client/src/telemetry/testing/recording-open-telemetry.js';
import { Fixture } from '../client/fixture.js';
import { targets } from '../client/targets.js';
import { release } from './release.js';

interface Billing {
  readonly max: number;
}
const Billing = configClass<Billing>({
  name: 'Billing',
  namespace: 'billing',
  validate: ({ max }) =>
    typeof max === 'number' ? { value: { max } } : { violations: ['max is no number'] },
});

describe.each(targets)('telemetry on %s', (kind) => {
  let fixture: Fixture;
  let recording: RecordingOpenTelemetry;
  beforeEach(async () => {
    fixture = await Fixture.start(kind);
    recording = new RecordingOpenTelemetry();
  });
  afterEach(async () => {
    recording.end();
    await fixture.end();
  });

  it('tells one story of a lock and of a configuration that changes under it', async () => {
    const telemetry = openTelemetry(recording.begin());
    const sent: { readonly path: string; readonly traceparent: string | undefined }[] = [];
    const transport: TransportFactory = (endpoint, options) => {
      const made = grpcTransport(endpoint, options);
      const unary = made.unary.bind(made);
      made.unary = (path, request, call) => {
        sent.push({ path, traceparent: call.metadata['traceparent'] });
        return unary(path, request, call);
      };
      return made;
    };
    const publisher = fixture.client();
    await release(publisher, 1n, { 'shop/billing': { content: 'max: 3' } });
    const config = { app: 'shop', cache: false } as const;
    await using client = createClient({ endpoints: [fixture.member.url], transport, telemetry, config });
    const ref = await client.config.ref(Billing);
    await client.locks.mutex('ledger').run(async (handle) => {
      const changed = firstValueFrom(ref.changes$);
      await release(publisher, 2n, { 'shop/billing': { content: 'max: 5' } });
      expect((await changed).current).toEqual({ max: 5 });
      await handle.guardTxn((txn) => txn);
    });
    const [acquire] = recording.named('conclave.lock.acquire');
    const [hold] = recording.named('conclave.lock.hold');
    for (const span of [acquire, hold]) {
      expect(span).toMatchObject({
        hasEnded: true,
        errors: [],
        attributes: { 'conclave.lock.name': 'ledger' },
      });
      const traceparent = `00-${span?.traceId}-${span?.spanId}-01`;
      expect(sent).toContainEqual({ path: '/etcdserverpb.KV/Txn', traceparent });
    }
    const releases = recording
      .named('conclave.config.apply')
      .map((span) => span.attributes['conclave.config.releases']);
    expect(releases).toEqual(['billing=1', 'billing=2']);
    expect(recording.spans.every((span) => span.hasEnded)).toBe(true);
    expect(recording.sums.get('conclave_client_calls_total{method=KV/Txn,code=OK}')).toBeGreaterThan(1);
    expect(recording.measurements.get('conclave_client_call_seconds{method=KV/Txn}')?.length).toBeGreaterThan(
      1,
    );
  });
});
