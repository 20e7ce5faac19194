import { type DocumentFormat, isName, type NamespaceId } from '@conclave/config-model';

/**
 * Where the document of a namespace stands:
 *
 * `<folder>/<app>/<namespace>.<ending>` for the environment that `conclave dev` was given, and
 * `<folder>/<app>/<env>/<namespace>.<ending>` for any environment.
 */
const formats: Readonly<Record<string, DocumentFormat>> = {
  yaml: 'yaml',
  yml: 'yaml',
  json: 'json',
  properties: 'properties',
  txt: 'text',
};

/** What editors and file managers leave beside the files that they write. */
const leftover = /^\.|^#.*#$|~$|\.(?:swp|swx|tmp|bak|orig)$|^4913$/;

export type Placed =
  | { readonly kind: 'document'; readonly id: NamespaceId; readonly format: DocumentFormat }
  /** Not meant to be a document. */
  | { readonly kind: 'ignored' }
  | { readonly kind: 'misplaced'; readonly problem: string; readonly remedy: string };

/** What a file is, by its path below the folder, with `/` between names. */
export function placeOf(path: string, defaultEnv: string): Placed {
  const names = path.split('/');
  if (names.some((name) => leftover.test(name))) return { kind: 'ignored' };
  const file = names.at(-1) ?? '';
  const dot = file.lastIndexOf('.');
  const format = dot > 0 ? formats[file.slice(dot + 1).toLowerCase()] : undefined;
  if (format === undefined) {
    const endings = Object.keys(formats).map((ending) => `.${ending}`);
    return misplaced('its ending is none of a document', `name it with one of ${endings.join(', ')}`);
  }
  const [app = '', env = ''] = names.length === 3 ? names : [names[0], defaultEnv];
  if (names.length < 2 || names.length > 3) {
    const remedy = 'put it at <app>/<namespace>.<ending> or <app>/<env>/<namespace>.<ending>';
    return misplaced('no app and environment follow from its place', remedy);
  }
  const id = { app, env, namespace: file.slice(0, dot) };
  const wrong = Object.entries(id).find(([, name]) => !isName(name));
  if (wrong === undefined) return { kind: 'document', id, format };
  const [what, name] = wrong;
  const remedy = "use 1 to 63 of a-z, 0-9, '.', '_' and '-', beginning with a letter or a digit";
  return misplaced(`'${name}' is no name of an ${what}`.replace('an namespace', 'a namespace'), remedy);
}

function misplaced(problem: string, remedy: string): Placed {
  return { kind: 'misplaced', problem, remedy };
}
