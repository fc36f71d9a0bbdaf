/** Serves the site while one writes it; pages are those of the moment at which it started. */
import { join } from 'node:path'
import { createServer } from 'vitepress'
import { preparePages } from './prepare.ts'

await preparePages()
const server = await createServer(join(import.meta.dirname, '..'))
await server.listen()
server.printUrls()
