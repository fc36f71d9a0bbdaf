/** An example that a page runs: what it prints goes to `print`, line by line. */
export interface LiveExample {
  run(print: (line: string) => void): Promise<void>
}
