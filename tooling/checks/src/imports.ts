import ts from 'typescript'

/** One import of a source file. */
export interface Import {
  /** What stands between the quotes. */
  readonly specifier: string
  /** Whether it vanishes when types are stripped. */
  readonly typeOnly: boolean
  /** Whether it is an `import()` expression. */
  readonly dynamic: boolean
  /** Line of the file, from 1. */
  readonly line: number
}

function isTypeOnly(node: ts.ImportDeclaration | ts.ExportDeclaration): boolean {
  if (ts.isExportDeclaration(node)) return node.isTypeOnly
  return node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword
}

/**
 * Lists the static, dynamic and type imports of TypeScript source, re-exports included.
 * `import { type A } from 'a'` counts as an import of values, because the module is still loaded at run time.
 */
export function readImports(file: string, source: string): Import[] {
  const tree = ts.createSourceFile(file, source, ts.ScriptTarget.Latest)
  const imports: Import[] = []
  const add = (node: ts.Node, specifier: ts.Node | undefined, typeOnly: boolean, dynamic: boolean): void => {
    if (!specifier || !ts.isStringLiteralLike(specifier)) return
    const line = tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1
    imports.push({ specifier: specifier.text, typeOnly, dynamic, line })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
      add(node, node.moduleSpecifier, isTypeOnly(node), false)
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      add(node, node.arguments[0], false, true)
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      add(node, node.argument.literal, true, false)
    }
    ts.forEachChild(node, visit)
  }
  visit(tree)
  return imports
}
