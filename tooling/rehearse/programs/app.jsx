import { tensor } from '@tessera/core'
import { useEffect, useState } from 'react'
import { createRoot } from 'react-dom/client'

function Sum({ values }) {
  const [sum, setSum] = useState()
  useEffect(() => {
    tensor(values).sum().item().then(setSum)
  }, [values])
  return <p id="sum">{sum ?? 'computing'}</p>
}

const values = [1, 2, 3.5]
createRoot(document.getElementById('root')).render(<Sum values={values} />)
globalThis.result = new Promise((resolve, reject) => {
  const started = Date.now()
  const timer = setInterval(() => {
    const text = document.getElementById('sum')?.textContent
    if (text === '6.5') resolve({ backend: 'reference', variant: 'float64', threads: 1 })
    if (text === '6.5' || Date.now() - started > 20000) clearInterval(timer)
    if (Date.now() - started > 20000) reject(new Error(`the component shows '${text}'`))
  }, 50)
})
