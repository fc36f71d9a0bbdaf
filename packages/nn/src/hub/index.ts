export { type LoadHubFileOptions, loadHubFile } from './cached-bytes.ts'
export { HubError, type HubFileOptions, type HubProgress } from './download.ts'
