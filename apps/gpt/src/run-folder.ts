import { access, mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { UsageError } from './usage-error.ts'

/** Where the files of a run go. */
export interface RunFolder {
  readonly path: string
  readonly checkpoint: string
  readonly lossCurve: string
}

const checkpointName = 'checkpoint.safetensors'

function runFolder(path: string): RunFolder {
  return { path, checkpoint: join(path, checkpointName), lossCurve: join(path, 'loss.svg') }
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/**
 * The folder of a new run, made before the run begins so that it cannot fail for that at the end: the given one, or a new
 * one in `runs` that is called like the text. What another run left is never written over.
 */
export async function newRunFolder(given: string | undefined, name: string): Promise<RunFolder> {
  if (given !== undefined) {
    const folder = runFolder(given)
    if (await exists(folder.checkpoint)) {
      throw new UsageError(
        `${folder.checkpoint} is the checkpoint of an earlier run. Go on with it: --resume ${folder.checkpoint}. Or choose another folder with --out.`,
      )
    }
    await makeFolder(given)
    return folder
  }
  for (let number = 1; ; number++) {
    const folder = runFolder(join('runs', number === 1 ? name : `${name}-${number}`))
    if (await exists(folder.checkpoint)) continue
    await makeFolder(folder.path)
    return folder
  }
}

/** The folder of a run that goes on: that of its checkpoint, unless another one is given. */
export async function resumedRunFolder(given: string | undefined, checkpoint: string): Promise<RunFolder> {
  if (given === undefined) {
    const folder = runFolder(dirname(checkpoint))
    return { ...folder, checkpoint }
  }
  await makeFolder(given)
  return runFolder(given)
}

/** Makes the folder of a file that will be written at the end. */
export async function makeFolderOf(file: string | undefined): Promise<void> {
  if (file !== undefined) await makeFolder(dirname(file))
}

async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true }).catch((cause) => {
    throw new UsageError(`The folder ${path} cannot be made: ${(cause as Error).message}. Choose another one.`, {
      cause,
    })
  })
}
