import { hostRandom } from '@tessera/nn/data'

/** Steps of a pentatonic scale in halftones. */
const scale = [0, 2, 4, 7, 9]
/** Seconds of the shortest note. */
const beat = 0.125

/**
 * Music without data: two voices that walk about a scale, notes of one to four beats, each with five harmonics that die away, the higher ones
 * sooner.
 *
 * @returns samples from −1 to 1
 */
export function makeMusic({ seconds = 60, sampleRate = 12_000, seed = 1 } = {}): {
  samples: Float32Array
  sampleRate: number
} {
  const samples = new Float32Array(Math.round(seconds * sampleRate))
  for (const [voice, octave] of [3, 4].entries()) {
    const random = hostRandom(seed, voice)
    let degree = 2
    for (let start = 0; start < seconds; ) {
      const duration = beat * (1 + Math.floor(4 * random()))
      degree = Math.min(9, Math.max(0, degree + Math.floor(5 * random()) - 2))
      const halftones = scale[degree % scale.length]! + 12 * (octave + Math.floor(degree / scale.length) - 4) - 9
      addNote(samples, sampleRate, {
        start,
        duration,
        hertz: 440 * 2 ** (halftones / 12),
        loudness: 0.2 + 0.1 * random(),
      })
      start += duration
    }
  }
  return { samples, sampleRate }
}

function addNote(
  samples: Float32Array,
  sampleRate: number,
  { start, duration, hertz, loudness }: { start: number; duration: number; hertz: number; loudness: number },
): void {
  const first = Math.round(start * sampleRate)
  const count = Math.min(Math.round(duration * sampleRate), samples.length - first)
  for (let i = 0; i < count; i++) {
    const time = i / sampleRate
    // Up within 5 ms, down within the last 20, so that notes do not click.
    const envelope = Math.min(1, time / 0.005, (count - i) / (0.02 * sampleRate))
    let sum = 0
    for (let harmonic = 1; harmonic <= 5; harmonic++)
      sum += (Math.sin(2 * Math.PI * harmonic * hertz * time) * Math.exp(-2 * harmonic * time)) / harmonic
    samples[first + i]! += loudness * envelope * sum
  }
}
