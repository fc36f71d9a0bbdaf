import { existsSync, globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type DefaultTheme, defineConfig } from 'vitepress'

const pages = join(import.meta.dirname, '../pages')

/** Guides in the order in which they are read; others follow. */
const reading = [
  'first-model',
  'from-pytorch-and-jax',
  'live',
  'memory-and-performance',
  'explain',
  'deploying',
  'extending',
]
const place = (file: string): number =>
  (reading.indexOf(basename(file, '.md')) + reading.length + 1) % (reading.length + 1)

/** The pages of a folder, titled by their first heading. */
function list(folder: string): DefaultTheme.SidebarItem[] {
  return globSync(`${folder}/*.md`, { cwd: pages })
    .sort((a, b) => place(a) - place(b) || a.localeCompare(b))
    .map((file) => ({
      text: /^# (.+)$/m.exec(readFileSync(join(pages, file), 'utf8'))?.[1]?.replaceAll('`', '') ?? file,
      link: `/${file.replaceAll('\\', '/').replace(/(index)?\.md$/, '')}`,
    }))
}

const reference = join(pages, 'api/typedoc-sidebar.json')
const api: DefaultTheme.SidebarItem[] = existsSync(reference) ? JSON.parse(readFileSync(reference, 'utf8')) : []

/** Threads need an isolated page; a server in production sends the same two headers. */
const headers = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' }

export default defineConfig({
  title: 'Tessera',
  description: 'Deep learning for TypeScript, in Node and in the browser',
  srcDir: 'pages',
  outDir: 'dist',
  cleanUrls: true,
  lastUpdated: false,
  vite: { server: { headers }, preview: { headers }, build: { chunkSizeWarningLimit: 2000 } },
  themeConfig: {
    search: { provider: 'local' },
    nav: [
      { text: 'Guides', link: '/guides/first-model' },
      { text: 'Packages', link: '/packages/core' },
      { text: 'API', link: '/api/' },
      { text: 'Benchmarks', link: '/benchmarks' },
    ],
    sidebar: {
      '/api/': api,
      '/': [
        { text: 'Guides', items: list('guides') },
        { text: 'Packages', items: list('packages') },
        { text: 'Programs', items: list('apps') },
        {
          text: 'The project',
          items: [
            { text: 'Architecture', link: '/architecture' },
            { text: 'Contributing', link: '/contributing' },
            { text: 'Benchmarks', link: '/benchmarks' },
            ...list('examples'),
          ],
        },
        { text: 'Decisions', collapsed: true, items: list('decisions') },
      ],
    },
  },
})
