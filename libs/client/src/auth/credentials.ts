import { InvalidArgumentError } from '../errors.js';

/**
 * Who the client is. With a password it logs in by itself when it first needs to, and again when a token is refused as
 * invalid, expired or outdated: once per refusal for all calls together, never in a loop. With `token` it asks the function
 * instead. Functions are asked for each login, so they may give another password or token after a change. Credentials that
 * the server refused make every call fail with UnauthorizedError; the same ones are offered again after a pause (1 s,
 * doubling up to 30 s), others at once.
 */
export type Credentials =
  | { readonly username: string; readonly password: string | (() => Promise<string>) }
  | { readonly token: () => Promise<string> };

/** What credentials come down to at one moment: the secret that is offered to the server. */
export interface Secret {
  /** Undefined: the secret is a token itself. */
  readonly username: string | undefined;
  readonly text: string;
}

/** Asks for the secret. Rejects with whatever the function of the application throws. */
export async function secretOf(credentials: Credentials): Promise<Secret> {
  if ('token' in credentials) return { username: undefined, text: await credentials.token() };
  const { username, password } = credentials;
  return { username, text: typeof password === 'string' ? password : await password() };
}

/** @throws InvalidArgumentError for credentials that cannot work. */
export function checkCredentials(credentials: Credentials): Credentials {
  const given = credentials as Partial<Record<'username' | 'password' | 'token', unknown>>;
  const wrong: string[] = [];
  if ('token' in credentials) {
    if (typeof given.token !== 'function')
      wrong.push('token: must be a function that gives a promise of a token');
    if (given.username !== undefined || given.password !== undefined) {
      wrong.push('token: excludes username and password');
    }
  } else {
    if (typeof given.username !== 'string' || given.username === '')
      wrong.push('username: must not be empty');
    const isPassword = typeof given.password === 'string' || typeof given.password === 'function';
    if (!isPassword) wrong.push('password: must be text, or a function that gives a promise of it');
  }
  if (wrong.length > 0) throw new InvalidArgumentError(`auth: ${wrong.join('; ')}`);
  return credentials;
}
