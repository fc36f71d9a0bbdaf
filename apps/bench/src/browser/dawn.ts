/** Takes the place of `implementations/dawn.ts` in the page: browsers bring WebGPU themselves. */
export function installDawn(): void {}
