/** Software adapters to test kernels on, in Node. */
export { type SoftwareAdapter, softwareAdapters } from '../testing/adapters.ts'
