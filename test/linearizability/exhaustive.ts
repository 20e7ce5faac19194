import { type Call, type SequentialModel } from './history.js';

/**
 * Tries every order of every choice of lost calls, without any thought: only for histories of a few calls, to judge the
 * search by.
 */
export function isLinearizable<State, Input, Output>(
  model: SequentialModel<State, Input, Output>,
  history: readonly Call<Input, Output>[],
): boolean {
  return canFinish(model, model.initial, history);
}

function canFinish<State, Input, Output>(
  model: SequentialModel<State, Input, Output>,
  state: State,
  rest: readonly Call<Input, Output>[],
): boolean {
  if (rest.every(({ output }) => output === undefined)) return true;
  return rest.some((call) => {
    if (rest.some((other) => other !== call && other.returnedAt < call.calledAt)) return false;
    const others = rest.filter((other) => other !== call);
    return model.step(state, call.input, call.output).some((next) => canFinish(model, next, others));
  });
}
