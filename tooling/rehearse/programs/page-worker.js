globalThis.result = new Promise((resolve, reject) => {
  const worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })
  worker.onmessage = ({ data }) => (data.error ? reject(new Error(data.error)) : resolve(data))
  worker.onerror = (event) => reject(new Error(event.message))
})
