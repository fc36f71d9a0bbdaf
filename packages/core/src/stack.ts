/**
 * Where mistakes are reported: at the call that made them. Frames of this package at the top of a stack are cut off, so that the first one
 * is the caller's line, also inside of `jit`, a transform or a definition.
 */

/** The folder of this package as it stands in stack frames; `undefined` where its code has been bundled with its user's. */
const folder = folderOf(import.meta.url)

function folderOf(url: unknown): string | undefined {
  const path = typeof url === 'string' ? /^[a-z]+:\/\/[^/]*(\/.*\/core\/)(?:src|dist)\//.exec(url)?.[1] : undefined
  return path && decodeURI(path)
}

const hasPlace = (frame: string): boolean => /:\d+:\d+\)?$/.test(frame)
/** Built-in functions, such as `Array.map`, have no place; they stand between frames of this package. */
const isOwn = (frame: string): boolean => !hasPlace(frame) || (isInside(frame) && !/\.test\.[jt]s/.test(frame))
/** Where source maps are in use, frames of built code name its sources. */
const isInside = (frame: string): boolean => ['src/', 'dist/'].some((part) => frame.includes(folder! + part))

/** The deepest chain of calls inside this package, and some of the caller's. */
const frames = 64

const host = Error as { stackTraceLimit?: number; captureStackTrace?(target: object): void }

/** Runs with stacks that are deep enough to reach the caller; they are written out only when somebody reads them. */
function withDeepStacks<Result>(body: () => Result): Result {
  const limit = host.stackTraceLimit
  if (limit === undefined || limit <= 0) return body()
  host.stackTraceLimit = frames
  const result = body()
  host.stackTraceLimit = limit
  return result
}

/** Remembers where this is called. */
export const rememberPlace = (): Error => withDeepStacks(() => new Error())

/**
 * Cuts the frames of this package off the top of an error's stack. Gives the place of the first other one, `file:line:column`, where the
 * stack tells.
 *
 * @param place where the mistake was made, if not here
 */
export function startAtCaller(error: Error, place?: Error): string | undefined {
  if (!folder) return undefined
  if (!place && host.captureStackTrace) withDeepStacks(() => host.captureStackTrace!(error))
  const lines = (place ?? error).stack?.split('\n') ?? []
  // V8 puts name and message in front of the frames.
  const first = lines.findIndex((line) => /^\s+at |@.+:\d+:\d+$/.test(line))
  const caller = first < 0 ? -1 : lines.findIndex((line, i) => i >= first && !isOwn(line))
  if (caller < 0) return undefined
  const head = place ? [`${error.name}: ${error.message}`] : lines.slice(0, first)
  error.stack = [...head, ...lines.slice(caller, caller + (host.stackTraceLimit ?? frames))].join('\n')
  return /((?:[a-z]+:\/\/)?\/[^()]*:\d+:\d+|[^\s()@]+:\d+:\d+)\)?$/.exec(lines[caller]!)?.[1]
}
