import { choice, duration, text, textList, toggle, urlList, wholeNumber } from '../flag.js';

const dayMs = 86_400_000;
const slowRequests = 'slow requests show in the metrics, not in the log';
const compactionPace = 'compaction yields to requests by the time it takes, not by a count';

/** Logs and metrics. */
export const observabilityFlags = {
  logLevel: choice(
    'log-level',
    'info',
    ['debug', 'info', 'warn', 'error', 'panic', 'dpanic', 'fatal'],
    'Least severe lines that are logged.',
  ),
  logFormat: choice('log-format', 'json', ['json', 'console'], 'How log lines are written.'),
  logOutputs: textList(
    'log-outputs',
    'default',
    'Where log lines go: default or stderr, stdout, or paths of files; several are separated by commas.',
    { aliases: ['log-output'] },
  ),
  metrics: choice(
    'metrics',
    'basic',
    ['basic', 'extensive'],
    'extensive adds a histogram of the duration of every gRPC method.',
  ),
  listenMetricsUrls: urlList(
    'listen-metrics-urls',
    '',
    'Further URLs that serve /metrics and the health endpoints only.',
  ),
  warningApplyDuration: duration(
    'warning-apply-duration',
    '100ms',
    { min: 0, max: dayMs },
    'Requests that take longer to apply are logged.',
    { aliases: ['experimental-warning-apply-duration'], withoutEffect: slowRequests },
  ),
  warningUnaryRequestDuration: duration(
    'warning-unary-request-duration',
    '300ms',
    { min: 0, max: dayMs },
    'Unary requests that take longer are logged.',
    { aliases: ['experimental-warning-unary-request-duration'], withoutEffect: slowRequests },
  ),
} as const;

/** Knobs of single mechanisms. */
export const tuningFlags = {
  compactionBatchLimit: wholeNumber(
    'compaction-batch-limit',
    1_000,
    { min: 1, max: 1_000_000, unit: 'revisions' },
    'Revisions that compaction deletes before it yields.',
    { aliases: ['experimental-compaction-batch-limit'], withoutEffect: compactionPace },
  ),
  compactionSleepInterval: duration(
    'compaction-sleep-interval',
    '10ms',
    { min: 0, max: 60_000 },
    'Pause between two such batches.',
    { aliases: ['experimental-compaction-sleep-interval'], withoutEffect: compactionPace },
  ),
  watchProgressNotifyInterval: duration(
    'watch-progress-notify-interval',
    '10m',
    { min: 100, max: dayMs },
    'Time without events after which a watcher that asked for it is told the current revision.',
    { aliases: ['experimental-watch-progress-notify-interval'] },
  ),
  unsafeNoFsync: toggle('unsafe-no-fsync', false, 'Do not wait for the disk.', {
    withoutEffect: 'a write is acknowledged only when it is on the disk',
  }),
  configFile: text(
    'config-file',
    '',
    'Path of a configuration file (YAML or JSON, with the names of the flags); while given, flags and environment are ignored.',
  ),
} as const;
