import { posix } from 'node:path'

/** Pages and pictures of the site by the file of the repository that each is made from. */
export type Pages = ReadonlyMap<string, string>

/**
 * Rewrites the relative links of a Markdown file of the repository: to pages of the site where there is one, to the
 * repository otherwise.
 *
 * @param file path of the Markdown file from the root of the repository
 */
export function rewriteLinks(markdown: string, file: string, pages: Pages, repository: string): string {
  return markdown.replaceAll(/\]\((?!https?:|mailto:|#)([^)\s#]*)(#[^)\s]*)?\)/g, (_, target: string, anchor = '') => {
    const path = posix.normalize(posix.join(posix.dirname(file), target)).replace(/\/$/, '')
    const page = pages.get(path) ?? pages.get(`${path}/README.md`)
    // The bundler of the site takes pictures by relative paths.
    if (page !== undefined && !page.endsWith('.md')) {
      const relative = posix.relative(posix.dirname(pages.get(file) ?? ''), page)
      return `](${relative.startsWith('.') ? relative : `./${relative}`})`
    }
    return page === undefined ? `](${repository}/${path})` : `](/${page.replace(/(index)?\.md$/, '')}${anchor})`
  })
}
