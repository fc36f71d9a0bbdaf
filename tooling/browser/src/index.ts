export { type BundleOptions, bundleModule } from './bundle.ts'
export { chromiumPath, launchChromium } from './chromium.ts'
export { type ServedFile, type ServedFolder, serveFiles } from './serve.ts'
