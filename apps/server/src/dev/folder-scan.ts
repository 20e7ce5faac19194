import { type Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  ConfigModelError,
  type ConfigValue,
  type DocumentFormat,
  type NamespaceId,
  parseDocument,
  type Position,
} from '@conclave/config-model';
import { placeOf } from './folder-layout.js';

/** A document of the folder that can be put in force. */
export interface FolderDocument {
  readonly id: NamespaceId;
  /** Below the folder. */
  readonly file: string;
  readonly format: DocumentFormat;
  readonly content: string;
  /** Of the content, as 64 hexadecimal digits. */
  readonly sha256: string;
  readonly values: ReadonlyMap<string, ConfigValue>;
}

/** Something about a file that keeps it from being put in force. */
export interface FolderMistake {
  readonly file: string;
  readonly position: Position | undefined;
  readonly problem: string;
  readonly remedy: string;
}

export interface FolderScan {
  readonly documents: readonly FolderDocument[];
  readonly mistakes: readonly FolderMistake[];
  /** Every namespace that has a file, good or not, by `env/app/namespace`. */
  readonly present: ReadonlySet<string>;
}

/** The limit of the config center. */
const documentBytesMax = 512 * 1024;

/** The name of a namespace for people, and for maps. */
export function nameOf({ env, app, namespace }: NamespaceId): string {
  return `${env}/${app}/${namespace}`;
}

type Reading = { readonly document: FolderDocument } | { readonly mistake: FolderMistake };

interface Known {
  readonly signature: string;
  readonly reading: Reading;
}

/** Reads a folder again and again; files that have not changed are read once. */
export class FolderScanner {
  private known = new Map<string, Known>();

  constructor(
    private readonly folder: string,
    private readonly defaultEnv: string,
  ) {}

  /** @throws the system's error when the folder itself cannot be read. */
  async scan(): Promise<FolderScan> {
    const documents: FolderDocument[] = [];
    const mistakes: FolderMistake[] = [];
    const byName = new Map<string, string[]>();
    const known = new Map<string, Known>();
    for (const file of await this.files()) {
      const place = placeOf(file, this.defaultEnv);
      if (place.kind === 'ignored') continue;
      if (place.kind === 'misplaced') {
        mistakes.push({ file, position: undefined, problem: place.problem, remedy: place.remedy });
        continue;
      }
      const reading = await this.read(file, place.id, place.format, known);
      if (reading === undefined) continue;
      const name = nameOf(place.id);
      byName.set(name, [...(byName.get(name) ?? []), file]);
      if ('document' in reading) documents.push(reading.document);
      else mistakes.push(reading.mistake);
    }
    this.known = known;
    const twice = [...byName.values()].filter((files) => files.length > 1);
    for (const [file = '', ...others] of twice) {
      const remedy = 'keep one of them';
      mistakes.push({
        file,
        position: undefined,
        problem: `${others.join(', ')} is the same namespace`,
        remedy,
      });
    }
    const ambiguous = new Set(twice.flat());
    return {
      documents: documents.filter(({ file }) => !ambiguous.has(file)),
      mistakes,
      present: new Set(byName.keys()),
    };
  }

  private async files(): Promise<readonly string[]> {
    const entries = await readdir(this.folder, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name).slice(join(this.folder, '/').length))
      .map((path) => path.replaceAll('\\', '/'))
      .sort();
  }

  /** Undefined for what is no file, or was taken away meanwhile. */
  private async read(
    file: string,
    id: NamespaceId,
    format: DocumentFormat,
    known: Map<string, Known>,
  ): Promise<Reading | undefined> {
    const path = join(this.folder, file);
    try {
      const found = await stat(path);
      if (!found.isFile()) return undefined;
      const signature = `${found.ino}:${found.size}:${found.mtimeMs}`;
      const before = this.known.get(file);
      const reading =
        before?.signature === signature ? before.reading : readingOf(file, id, format, await readFile(path));
      known.set(file, { signature, reading });
      return reading;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      const problem = `it cannot be read: ${(error as Error).message}`;
      return {
        mistake: { file, position: undefined, problem, remedy: 'give this user the right to read it' },
      };
    }
  }
}

function readingOf(file: string, id: NamespaceId, format: DocumentFormat, bytes: Buffer): Reading {
  const mistake = (problem: string, remedy: string, position?: Position): Reading => ({
    mistake: { file, position, problem, remedy },
  });
  if (bytes.length > documentBytesMax) {
    return mistake(`it has ${bytes.length} bytes`, `a document has at most ${documentBytesMax}: divide it`);
  }
  let content: string;
  try {
    content = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return mistake('it is not UTF-8 text', 'save it as UTF-8');
  }
  try {
    const { values } = parseDocument(format, content);
    const sha256 = createHash('sha256').update(content).digest('hex');
    return { document: { id, file, format, content, sha256, values } };
  } catch (error) {
    if (!(error instanceof ConfigModelError)) throw error;
    const problem = error.message.replace(/^line \d+, column \d+: /, '');
    return mistake(problem, 'put it right and save it', error.position);
  }
}
