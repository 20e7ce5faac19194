import { Attribution } from './attribution.js';
import { LeaseTerms } from './lease-terms.js';
import { type History, type Operation, type SeenEvent, type Snapshot, type WatchLog } from './operation.js';
import { describeEvent, describeKey, isSameEvent, isSameKey, StoreModel } from './store-model.js';

const violationsMax = 20;

/**
 * Judges a history: the log has every revision once and is what the operations make of an empty store; an acknowledged
 * operation took place at its revision, one that failed did not, one with unknown outcome did at most once; the order of
 * calls and answers is kept (strict serializability, for all operations carry their revision); reads and snapshots are the
 * state of their revision; watchers were told everything once and in order. One pass over everything, plus a search per read.
 *
 * @returns what is wrong, in words; empty when nothing is. The first 20 findings only.
 */
export function checkHistory(history: History): string[] {
  const violations: string[] = [];
  const report = (violation: string): void => {
    if (violations.length < violationsMax) violations.push(violation);
  };
  const model = new StoreModel();
  const attribution = new Attribution(history, model, report);
  for (const [revision, events] of revisionsOf(history.log, report)) {
    attribution.judge(revision, events);
    for (const event of events) model.apply(event);
  }
  for (const operation of history.operations) checkAnswer(operation, attribution, model, report);
  checkOrder(history.operations, attribution, report);
  checkLeases(history.operations, report);
  for (const watch of history.watches) checkWatch(watch, history.log, report);
  for (const snapshot of history.snapshots) checkSnapshot(snapshot, model, report);
  return violations;
}

type Report = (violation: string) => void;

/** The events by revision; every revision from 2 on has at least one. */
function revisionsOf(log: readonly SeenEvent[], report: Report): Map<number, SeenEvent[]> {
  const revisions = new Map<number, SeenEvent[]>();
  let last = 1;
  for (const event of log) {
    const revision = event.modRevision;
    if (revision !== last && revision !== last + 1)
      report(`the log goes from revision ${last} to ${revision}`);
    last = revision;
    const events = revisions.get(revision);
    if (events === undefined) revisions.set(revision, [event]);
    else events.push(event);
  }
  return revisions;
}

function checkAnswer(
  operation: Operation,
  attribution: Attribution,
  model: StoreModel,
  report: Report,
): void {
  const { id, request, outcome } = operation;
  if (outcome.kind !== 'done') return;
  const { revision } = outcome;
  if (revision > model.revision)
    return report(`${id} was answered at revision ${revision}, which is not in the log`);
  const made = attribution.revisionOf.get(id);
  const lost = (): void =>
    report(`${id} (${request.kind}) was acknowledged at revision ${revision}, but is not there`);
  switch (request.kind) {
    case 'put':
    case 'batch':
      if (made === undefined) lost();
      return;
    case 'delete':
      if (outcome.deleted !== 0 && made === undefined) lost();
      if (outcome.deleted === 0 && model.at(request.key, revision) !== undefined)
        report(`${id} found nothing to delete at revision ${revision}, but ${request.key} was there`);
      return;
    case 'swap':
      if (outcome.succeeded === true) {
        if (made === undefined) lost();
        return;
      }
      if (made !== undefined) report(`${id} did not swap, but took place at revision ${made}`);
      if ((model.at(request.key, revision)?.modRevision ?? 0) === request.expected)
        report(`${id} did not swap at revision ${revision}, though nobody had changed ${request.key}`);
      return checkFound(operation, request.key, model, report);
    case 'read':
      return checkFound(operation, request.key, model, report);
    case 'revoke':
      if (model.all(revision).some(({ lease }) => lease === request.lease))
        report(
          `${id} revoked lease ${request.lease} at revision ${revision}, but keys of it are still there`,
        );
      return;
    case 'grant':
    case 'renew':
      return;
  }
}

function checkLeases(operations: readonly Operation[], report: Report): void {
  const terms = new LeaseTerms(operations);
  for (const operation of operations) {
    const violation = terms.violationOf(operation);
    if (violation !== undefined) report(violation);
  }
}

function checkFound({ id, outcome }: Operation, key: string, model: StoreModel, report: Report): void {
  if (outcome.kind !== 'done') return;
  const expected = model.at(key, outcome.revision);
  if (isSameKey(outcome.found, expected)) return;
  report(
    `${id} read ${describeKey(outcome.found)} at revision ${outcome.revision}, where there is ${describeKey(expected)}`,
  );
}

/**
 * What was answered before a call lies at or before the revision of the call; before, when it writes. What a member tells
 * of its own knowledge may be older, but counts as answered: what is read there must have been committed.
 */
function checkOrder(operations: readonly Operation[], attribution: Attribution, report: Report): void {
  const answers = operations
    .filter(({ outcome }) => outcome.kind === 'done')
    .sort((a, b) => a.answeredAt - b.answeredAt);
  const calls = [...operations].sort((a, b) => a.calledAt - b.calledAt);
  let [next, reached, by] = [0, 0, ''];
  for (const { id, calledAt, request, outcome } of calls) {
    for (; next < answers.length && answers[next].answeredAt < calledAt; next++) {
      const answer = answers[next];
      if (answer.outcome.kind !== 'done' || answer.outcome.revision <= reached) continue;
      [reached, by] = [answer.outcome.revision, answer.id];
    }
    const made = attribution.revisionOf.get(id);
    const revision = made ?? (outcome.kind === 'done' ? outcome.revision : undefined);
    if (revision === undefined || request.kind === 'renew') continue;
    if (request.kind === 'read' && request.isLocal === true) continue;
    if (made === undefined ? revision < reached : revision <= reached)
      report(
        `${id} has revision ${revision}, although ${by} had been answered at ${reached} before it was called`,
      );
  }
}

function checkWatch(watch: WatchLog, log: readonly SeenEvent[], report: Report): void {
  const { from, to = Infinity, matches } = watch;
  const expected = log.filter(
    ({ key, modRevision }) => modRevision >= from && modRevision <= to && matches(key),
  );
  for (let place = 0; place < Math.max(expected.length, watch.events.length); place++) {
    const [wanted, got] = [expected[place], watch.events[place]];
    if (wanted !== undefined && got !== undefined && isSameEvent(wanted, got)) continue;
    return report(
      `watcher ${watch.name} was told ${describeEvent(got)} as event ${place}, instead of ${describeEvent(wanted)}`,
    );
  }
}

function checkSnapshot({ taken, revision, keys }: Snapshot, model: StoreModel, report: Report): void {
  const expected = model.all(revision);
  for (let place = 0; place < Math.max(expected.length, keys.length); place++) {
    if (isSameKey(expected[place], keys[place])) continue;
    return report(
      `all keys at revision ${revision}, read ${taken}: ${describeKey(keys[place])} instead of ${describeKey(expected[place])}`,
    );
  }
}
