import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Application } from 'typedoc'
import { rewriteLinks } from './links.ts'

const root = join(import.meta.dirname, '../../..')
const site = join(import.meta.dirname, '..')
const outputFolder = join(site, 'pages')

/** Where sources are read by people who are not in a checkout. */
const repository = process.env.TESSERA_REPOSITORY ?? 'https://github.com/tessera-ts/tessera/tree/main'

/** The page of the site for a Markdown file of the repository. */
function pageOf(file: string): string {
  if (file === 'README.md') return 'introduction.md'
  const own = /^(packages|apps|examples)\/([^/]+)\/([^/]+)\.md$/.exec(file)
  if (own) return own[3] === 'README' ? `${own[1]}/${own[2]}.md` : `${own[1]}/${own[2]}/${own[3]}.md`
  return file.replace(/^docs\//, '').toLowerCase()
}

const pictureOf = (file: string) => [file, file.replace(/^docs\//, '')] as const

function writePages(): void {
  const files = [
    'README.md',
    'ARCHITECTURE.md',
    'CONTRIBUTING.md',
    'SECURITY.md',
    'docs/**/*.md',
    '{packages,apps,examples}/*/*.md',
  ]
    .flatMap((pattern) => globSync(pattern, { cwd: root }))
    .filter((file) => file !== 'docs/status.md' && !file.endsWith('CHANGELOG.md'))
    .map((file) => file.replaceAll('\\', '/'))
  const pictures = ['docs/**/*.{svg,png}', 'packages/*/pictures/*.svg'].flatMap((pattern) =>
    globSync(pattern, { cwd: root }).map((file) => file.replaceAll('\\', '/')),
  )
  const pages = new Map([...files.map((file) => [file, pageOf(file)] as const), ...pictures.map(pictureOf)])
  for (const file of files) {
    const page = pages.get(file)!
    const target = join(outputFolder, page)
    mkdirSync(dirname(target), { recursive: true })
    // The third word of a fence tells the checks how to run a block; readers need not see it.
    const markdown = readFileSync(join(root, file), 'utf8').replaceAll(/^```(ts|js) [a-z -]+$/gm, '```$1')
    writeFileSync(target, rewriteLinks(markdown, file, pages, repository))
  }
  for (const picture of pictures) cpSync(join(root, picture), join(outputFolder, pages.get(picture)!))
  cpSync(join(site, 'home.md'), join(outputFolder, 'index.md'))
}

async function writeReference(): Promise<void> {
  const packages = globSync('packages/*/package.json', { cwd: root }).map((file) => join(root, dirname(file)))
  const application = await Application.bootstrapWithPlugins({
    name: 'API',
    entryPointStrategy: 'packages',
    entryPoints: packages,
    packageOptions: { readme: 'none', disableSources: true, excludeInternal: true, tsconfig: 'tsconfig.json' },
    readme: 'none',
    plugin: ['typedoc-plugin-markdown', 'typedoc-vitepress-theme'],
    out: join(outputFolder, 'api'),
    logLevel: 'Error',
    ...{ docsRoot: outputFolder, hideBreadcrumbs: true, entryFileName: 'index.md' },
  })
  const project = await application.convert()
  if (!project) throw new Error('typedoc could not read the packages; its messages are above.')
  await application.generateOutputs(project)
}

/** Writes the pages of the site from the Markdown of the repository, and the reference of the API from its comments. */
export async function preparePages(): Promise<void> {
  rmSync(outputFolder, { recursive: true, force: true })
  writePages()
  await writeReference()
}
