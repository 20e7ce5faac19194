import { ConfigModelError } from '../error.js';
import { decodeSegment, encodeSegment } from './names.js';

/** A namespace of the same environment, as rows name it: `app/namespace`. */
export interface NamespaceRef {
  readonly app: string;
  readonly namespace: string;
}

/** `app/namespace`, each as one segment of a key. Equal texts mean the same namespace. */
export function formatRef(ref: NamespaceRef): string {
  return `${encodeSegment(ref.app, 'app')}/${encodeSegment(ref.namespace, 'namespace')}`;
}

/** @throws ConfigModelError `invalid-name` when it is not `app/namespace`. */
export function parseRef(text: string): NamespaceRef {
  const [app, namespace, ...rest] = text.split('/');
  if (app === undefined || namespace === undefined || rest.length > 0) {
    throw new ConfigModelError('invalid-name', `'${text}' does not name a namespace as app/namespace`);
  }
  return { app: decodeSegment(app), namespace: decodeSegment(namespace) };
}
