/** What happened while everything went wrong; a run in which nothing happens proves nothing. */
export interface RunFigures {
  leaders: number;
  committed: number;
  readsAnswered: number;
  crashes: number;
  messages: number;
  changes: number;
  transfers: number;
  installs: number;
}

/** Figures of a run in which nothing happened yet. */
export function noFigures(): RunFigures {
  return {
    leaders: 0,
    committed: 0,
    readsAnswered: 0,
    crashes: 0,
    messages: 0,
    changes: 0,
    transfers: 0,
    installs: 0,
  };
}
