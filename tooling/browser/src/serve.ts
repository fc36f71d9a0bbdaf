import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface ServedFile {
  readonly type: string
  readonly body: string | Uint8Array
}

export interface ServedFolder {
  readonly url: string
  close(): Promise<void>
}

/** What a page needs to be allowed shared memory. */
const isolation = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
}

/**
 * Serves files by path on the loopback interface.
 * @param isolated whether pages are cross-origin isolated, and so may use threads
 * @param headers of every answer, for example a content security policy
 */
export async function serveFiles(
  files: Readonly<Record<string, ServedFile>>,
  {
    isolated = true,
    headers = {},
    port = 0,
  }: {
    readonly isolated?: boolean
    readonly headers?: Readonly<Record<string, string>>
    readonly port?: number
  } = {},
): Promise<ServedFolder> {
  const server = createServer((request, response) => {
    const file = files[new URL(request.url!, 'http://localhost').pathname]
    if (!file) {
      response.writeHead(404).end()
      return
    }
    response.writeHead(200, { 'Content-Type': file.type, ...(isolated && isolation), ...headers }).end(file.body)
  })
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
