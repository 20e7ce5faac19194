/** One metric of a Prometheus text exposition (format 0.0.4). */
export interface MetricFamily {
  readonly type: string;
  readonly samples: { readonly name: string; readonly labels: string; readonly value: number }[];
}

const help = /^# HELP ([a-zA-Z_:][\w:]*) .*$/;
const type = /^# TYPE ([a-zA-Z_:][\w:]*) (counter|gauge|histogram|summary|untyped)$/;
const label = '[a-zA-Z_]\\w*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
const sample = new RegExp(`^([a-zA-Z_:][\\w:]*)(\\{(?:${label}(?:,${label})*,?)?\\})? (\\S+)(?: -?\\d+)?$`);

/**
 * Reads a text exposition and checks it as a scraper does: every line is well-formed, a metric is declared once and
 * before its samples, no series comes twice, and the buckets of a histogram never decrease and end with its count.
 * @throws Error that names the line
 */
export function parseExposition(text: string): Map<string, MetricFamily> {
  if (!text.endsWith('\n')) throw new Error('an exposition ends with a line feed');
  const families = new Map<string, MetricFamily>();
  const series = new Set<string>();
  for (const line of text.slice(0, -1).split('\n')) {
    if (line === '' || help.test(line)) continue;
    const declared = type.exec(line);
    if (declared !== null) {
      if (families.has(declared[1])) throw new Error(`declared twice: ${line}`);
      families.set(declared[1], { type: declared[2], samples: [] });
      continue;
    }
    const [, name, labels = '', figure] = sample.exec(line) ?? [];
    if (name === undefined) throw new Error(`not a line of an exposition: ${line}`);
    const value = figure === '+Inf' ? Infinity : Number(figure);
    if (Number.isNaN(value) && figure !== 'NaN') throw new Error(`not a number: ${line}`);
    if (series.has(name + labels)) throw new Error(`a series comes twice: ${line}`);
    series.add(name + labels);
    familyOf(families, name).samples.push({ name, labels, value });
  }
  for (const [name, family] of families) if (family.type === 'histogram') checkBuckets(name, family);
  return families;
}

function familyOf(families: ReadonlyMap<string, MetricFamily>, name: string): MetricFamily {
  const family = families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, ''));
  if (family === undefined) throw new Error(`${name} has no type`);
  return family;
}

function checkBuckets(name: string, { samples }: MetricFamily): void {
  const last = new Map<string, number>();
  for (const { name: part, labels, value } of samples) {
    const key = labels.replace(/,?le="[^"]*"/, '').replace('{}', '');
    if (part === `${name}_bucket`) {
      if (value < (last.get(key) ?? 0)) throw new Error(`the buckets of ${name}${key} decrease`);
      last.set(key, value);
    } else if (part === `${name}_count` && last.get(key) !== value) {
      throw new Error(`the last bucket of ${name}${key} is not its count`);
    }
  }
}
