import { createHash } from 'node:crypto'
import { crc32, deflateSync } from 'node:zlib'

/** A vector of unit length that depends on the text alone. */
export function embeddingOf(text: string, dimensions: number): number[] {
  const vector: number[] = []
  for (let block = 0; vector.length < dimensions; block++) {
    const digest = createHash('sha256').update(`${block}:${text}`).digest()
    for (const byte of digest) vector.push((byte - 127.5) / 127.5)
  }
  const kept = vector.slice(0, dimensions)
  const length = Math.hypot(...kept)
  return kept.map((value) => Number((value / length).toFixed(6)))
}

/** A small picture whose colours depend on the prompt, as base64 PNG. */
export function pictureOf(prompt: string, seed: number): string {
  const size = 64
  const [red = 0, green = 0, blue = 0, angle = 0] = createHash('sha256').update(`${seed}:${prompt}`).digest()
  const rows = Array.from({ length: size }, (_, y) => {
    const row = Buffer.alloc(1 + size * 3)
    for (let x = 0; x < size; x++) {
      const wave = 0.5 + 0.5 * Math.sin((x * Math.cos(angle) + y * Math.sin(angle)) / 9)
      const shade = (value: number) => Math.round(value * (0.35 + 0.65 * wave))
      row.set([shade(red), shade(green), shade(blue)], 1 + x * 3)
    }
    return row
  })
  return png(size, Buffer.concat(rows)).toString('base64')
}

function png(size: number, pixels: Buffer): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(size, 0)
  header.writeUInt32BE(size, 4)
  header.set([8, 2, 0, 0, 0], 8)
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  const chunks = [chunk('IHDR', header), chunk('IDAT', deflateSync(pixels)), chunk('IEND', Buffer.alloc(0))]
  return Buffer.concat([signature, ...chunks])
}

function chunk(type: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const length = Buffer.alloc(4)
  length.writeUInt32BE(data.length)
  const checksum = Buffer.alloc(4)
  checksum.writeUInt32BE(crc32(named))
  return Buffer.concat([length, named, checksum])
}

const SAMPLE_RATE = 8000

/** A quiet tone of the given length, as base64 WAV. */
export function toneOf(seconds: number): string {
  const samples = Math.round(Math.min(seconds, 60) * SAMPLE_RATE)
  const header = Buffer.alloc(44)
  header.write('RIFF', 0, 'latin1')
  header.writeUInt32LE(36 + samples, 4)
  header.write('WAVEfmt ', 8, 'latin1')
  header.writeUInt32LE(16, 16)
  header.writeUInt16LE(1, 20)
  header.writeUInt16LE(1, 22)
  header.writeUInt32LE(SAMPLE_RATE, 24)
  header.writeUInt32LE(SAMPLE_RATE, 28)
  header.writeUInt16LE(1, 32)
  header.writeUInt16LE(8, 34)
  header.write('data', 36, 'latin1')
  header.writeUInt32LE(samples, 40)
  const wave = Buffer.from(
    Array.from({ length: samples }, (_, i) => 128 + Math.round(20 * Math.sin((i * 440 * 2 * Math.PI) / SAMPLE_RATE))),
  )
  return Buffer.concat([header, wave]).toString('base64')
}

/** The length of an uncompressed WAV in seconds; of anything else, a guess from its size at 16 kB/s. */
export function secondsOf(audio: Buffer): number {
  if (audio.subarray(0, 4).toString('latin1') === 'RIFF' && audio.length >= 44) {
    const bytesPerSecond = audio.readUInt32LE(28)
    if (bytesPerSecond > 0) return Math.max(1, Math.round((audio.length - 44) / bytesPerSecond))
  }
  return Math.max(1, Math.round(audio.length / 16_000))
}
