/** Builds the site into `dist`: pages and reference first, then the bundle. */
import { join } from 'node:path'
import { build } from 'vitepress'
import { preparePages } from './prepare.ts'

await preparePages()
await build(join(import.meta.dirname, '..'))
