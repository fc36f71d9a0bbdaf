/** What a check found. */
export interface Findings {
  /** What must change before a merge; each says where, what and the cure. */
  readonly errors: readonly string[]
  /** What deserves a look. */
  readonly warnings?: readonly string[]
  /** One line that says how much was looked at. */
  readonly summary: string
}

/** Options of a run of checks. */
export interface CheckOptions {
  /** Write what is true now into the stored snapshots, instead of comparing. */
  readonly update: boolean
}

/** A check by its name on the command line. */
export interface Check {
  readonly name: string
  readonly run: (options: CheckOptions) => Findings | Promise<Findings>
}
