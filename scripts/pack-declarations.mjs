// The declarations of a package that is published, from what `tsc -b` wrote: those that its entry points reach, as one
// tree in which nothing leads out. What is imported from packages that are not published is copied into a folder of that
// tree, file by file as names need it. Every file is written twice, for importers in ES modules and in CommonJS.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, posix, relative, sep } from 'node:path';
import ts from 'typescript';

/** The entry of each package that is not published. */
const bundled = {
  '@conclave/protocol': 'libs/protocol/dist/index.d.ts',
  '@conclave/grpc': 'libs/grpc/dist/index.d.ts',
  '@conclave/grpc/status': 'libs/grpc/dist/status.d.ts',
  '@conclave/config-model': 'libs/config-model/dist/index.d.ts',
};

const declarationOf = (path) => path.replace(/\.js$/, '.d.ts');

/**
 * @param options.root the folder of the entry points, such as `libs/client/dist`
 * @param options.entries declaration files in it, such as `index.d.ts`
 * @param options.out the folder to write to; an entry keeps its path in it
 * @returns the packages that the declarations import, for the manifest to name
 */
export function packDeclarations({ root, entries, out }) {
  const tree = new DeclarationTree(root);
  for (const entry of entries) tree.add(join(root, entry));
  for (const [path, text] of tree.files) {
    write(join(out, path), text);
    write(join(out, path.replace(/\.d\.ts$/, '.d.cts')), asCommonJs(text));
  }
  return [...tree.external].sort();
}

function write(path, text) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

class DeclarationTree {
  /** Path in the tree → text. */
  files = new Map();
  external = new Set();

  constructor(root) {
    this.places = [
      [root, ''],
      ...Object.entries(bundled).map(([name, file]) => [dirname(file), name.split('/')[1]]),
    ];
  }

  add(file) {
    const target = this.placeOf(file);
    if (this.files.has(target)) return;
    this.files.set(target, '');
    const source = parse(file);
    const edits = [];
    for (const statement of source.statements) {
      const edit = isCodec(file, statement) ? '' : this.rewritten(file, target, source, statement);
      if (edit !== undefined) edits.push([statement.getStart(), statement.end, edit]);
    }
    for (const node of importTypes(source)) {
      const specifier = this.followed(file, target, node.argument.literal.text);
      edits.push([node.argument.getStart(), node.argument.end, `'${specifier}'`]);
    }
    this.files.set(target, edited(source.text, edits));
  }

  /** The text of an import or export whose specifier changes; undefined for all other statements. */
  rewritten(file, target, source, statement) {
    if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) return undefined;
    const specifier = statement.moduleSpecifier?.text;
    if (specifier === undefined) return undefined;
    if (bundled[specifier] !== undefined) return this.fromBundled(target, statement, specifier);
    const { moduleSpecifier } = statement;
    const before = source.text.slice(statement.getStart(), moduleSpecifier.getStart());
    return `${before}'${this.followed(file, target, specifier)}';`;
  }

  /** Adds what a specifier of a published or relative module leads to. */
  followed(file, target, specifier) {
    if (specifier.startsWith('.'))
      return this.reference(target, declarationOf(join(dirname(file), specifier)));
    const entry = bundled[specifier];
    if (entry !== undefined) return this.reference(target, entry);
    this.external.add(specifier);
    return specifier;
  }

  /** One statement per file that declares what is imported, so that an index of a package does not bring all of it along. */
  fromBundled(target, statement, specifier) {
    const clause = ts.isImportDeclaration(statement)
      ? statement.importClause?.namedBindings
      : statement.exportClause;
    const keyword = ts.isImportDeclaration(statement) ? 'import' : 'export';
    if (clause === undefined || !clause.elements) {
      throw new Error(
        `${target}: import or export names from ${specifier}, since it is not published as a whole`,
      );
    }
    return clause.elements
      .map((element) => {
        const local = element.name.text;
        const name = (element.propertyName ?? element.name).text;
        const { file, exported } = this.declaring(bundled[specifier], name);
        const from = this.reference(target, file);
        if (exported === '*') return `${keyword} type * as ${local} from '${from}';`;
        return `${keyword} { type ${exported === local ? local : `${exported} as ${local}`} } from '${from}';`;
      })
      .join('\n');
  }

  /** Which file declares a name of a package's entry; `*` stands for the whole file. */
  declaring(entry, name) {
    const found = this.lookUp(entry, name);
    if (found === undefined) throw new Error(`${entry} does not export ${name}`);
    return found;
  }

  lookUp(file, name) {
    for (const statement of parse(file).statements) {
      const found = ts.isExportDeclaration(statement)
        ? this.throughExport(file, statement, name)
        : declares(statement, name) && { file, exported: name };
      if (found) return found;
    }
    return undefined;
  }

  throughExport(file, { exportClause, moduleSpecifier }, name) {
    const specifier = moduleSpecifier?.text;
    if (specifier === undefined) return undefined;
    const next = bundled[specifier] ?? declarationOf(join(dirname(file), specifier));
    if (exportClause === undefined) return this.lookUp(next, name);
    if (ts.isNamespaceExport(exportClause)) {
      return exportClause.name.text === name ? { file: next, exported: '*' } : undefined;
    }
    const element = exportClause.elements.find(({ name: { text } }) => text === name);
    return element && this.lookUp(next, (element.propertyName ?? element.name).text);
  }

  reference(from, file) {
    this.add(file);
    const path = posix.relative(posix.dirname(from), this.placeOf(file)).replace(/\.d\.ts$/, '.js');
    return path.startsWith('.') ? path : `./${path}`;
  }

  placeOf(file) {
    for (const [folder, place] of this.places) {
      const path = relative(folder, file);
      if (!path.startsWith('..')) return posix.join(place, path.split(sep).join('/'));
    }
    throw new Error(`${file} is in no package that this one is made of`);
  }
}

const parsed = new Map();

function parse(file) {
  const known = parsed.get(file);
  if (known !== undefined) return known;
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.ES2023, true);
  parsed.set(file, source);
  return source;
}

/**
 * Generated codecs are bundled with the code and not exported; only the shapes of the messages are public. Without the
 * codecs the declarations need no package of theirs.
 */
function isCodec(file, statement) {
  if (!dirname(file).endsWith(`${sep}generated`)) return false;
  if (ts.isVariableStatement(statement)) return true;
  if (ts.isTypeAliasDeclaration(statement) && ts.isTypeQueryNode(statement.type)) return true;
  if (ts.isImportDeclaration(statement)) return statement.moduleSpecifier.text.startsWith('@bufbuild/');
  const name = statement.name?.text;
  return name === 'MessageFns' || name === 'DeepPartial' || name === 'Builtin';
}

function declares(statement, name) {
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.some((declaration) => declaration.name.text === name);
  }
  return statement.name?.text === name;
}

function importTypes(source) {
  const found = [];
  const visit = (node) => {
    if (ts.isImportTypeNode(node)) found.push(node);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

function edited(text, edits) {
  let result = text;
  for (const [start, end, replacement] of edits.sort((a, b) => b[0] - a[0])) {
    result = result.slice(0, start) + replacement + result.slice(end);
  }
  return result;
}

/** Declarations hold relative specifiers in imports, exports and import types only. */
function asCommonJs(text) {
  const source = ts.createSourceFile('x.d.ts', text, ts.ScriptTarget.ES2023, true);
  const edits = [];
  const visit = (node) => {
    const literal = ts.isImportTypeNode(node) ? node.argument.literal : node.moduleSpecifier;
    if (literal?.text.startsWith('.')) {
      edits.push([literal.getStart(), literal.end, `'${literal.text.replace(/\.js$/, '.cjs')}'`]);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return edited(text, edits);
}
