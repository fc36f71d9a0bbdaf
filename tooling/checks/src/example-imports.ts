import ts from 'typescript'

/** Where a public name comes from, and whether it exists at run time. */
export interface Importable {
  readonly specifier: string
  readonly kind: 'value' | 'type'
}

/** The names that code mentions and those that it declares or imports itself. */
function readNames(code: string): { used: Set<string>; declared: Set<string> } {
  const used = new Set<string>()
  const declared = new Set<string>()
  const visit = (node: ts.Node): void => {
    const declaration = node as { name?: ts.Node }
    if (ts.isIdentifier(node)) {
      const parent = node.parent as { name?: ts.Node }
      const isMember = ts.isPropertyAccessExpression(node.parent) || ts.isPropertyAssignment(node.parent)
      if (!(isMember && parent.name === node)) used.add(node.text)
    } else if (declaration.name && ts.isIdentifier(declaration.name) && declares(node)) {
      declared.add(declaration.name.text)
    }
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile('example.ts', code, ts.ScriptTarget.Latest, true))
  return { used, declared }
}

function declares(node: ts.Node): boolean {
  return (
    ts.isVariableDeclaration(node) ||
    ts.isBindingElement(node) ||
    ts.isParameter(node) ||
    ts.isFunctionDeclaration(node) ||
    ts.isClassDeclaration(node) ||
    ts.isInterfaceDeclaration(node) ||
    ts.isTypeAliasDeclaration(node) ||
    ts.isImportSpecifier(node) ||
    ts.isImportClause(node) ||
    ts.isNamespaceImport(node)
  )
}

/**
 * Writes the imports that an example in a documentation comment leaves out: public names that it mentions without
 * declaring or importing them, on one line.
 *
 * @param names where each public name is imported from, by name
 */
export function printMissingImports(code: string, names: ReadonlyMap<string, Importable>): string {
  const { used, declared } = readNames(code)
  const bySpecifier = new Map<string, string[]>()
  for (const name of used) {
    const found = names.get(name)
    if (declared.has(name) || !found) continue
    const list = bySpecifier.get(found.specifier) ?? []
    bySpecifier.set(found.specifier, [...list, found.kind === 'type' ? `type ${name}` : name])
  }
  return [...bySpecifier].map(([specifier, list]) => `import { ${list.join(', ')} } from '${specifier}';`).join(' ')
}
