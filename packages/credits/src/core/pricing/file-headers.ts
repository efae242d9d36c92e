/**
 * How large pictures are, how many pages a PDF has and how long sound and films last, as far as their own bytes say it
 * simply. Every reader gives undefined for bytes that it does not understand, and never throws.
 */

const ascii = (bytes: Uint8Array, from: number, length: number): string =>
  String.fromCharCode(...bytes.subarray(from, from + length))

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** A reader that runs off the end of the bytes has found nothing. */
function attempt<Value>(read: () => Value | undefined): Value | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof RangeError) return undefined
    throw error
  }
}

/** Width and height in pixels. */
export interface PictureSize {
  width: number
  height: number
}

function jpegSize(bytes: Uint8Array): PictureSize | undefined {
  const data = view(bytes)
  let at = 2
  while (at + 9 < bytes.length) {
    if (data.getUint8(at) !== 0xff) return undefined
    const marker = data.getUint8(at + 1)
    // Fill bytes.
    if (marker === 0xff) {
      at++
      continue
    }
    // Start of frame, apart from the tables that share its range of markers.
    const frame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)
    if (frame) return { height: data.getUint16(at + 5), width: data.getUint16(at + 7) }
    at += 2 + data.getUint16(at + 2)
  }
  return undefined
}

function webpSize(bytes: Uint8Array): PictureSize | undefined {
  const data = view(bytes)
  const kind = ascii(bytes, 12, 4)
  if (kind === 'VP8 ') return { width: data.getUint16(26, true) & 0x3fff, height: data.getUint16(28, true) & 0x3fff }
  if (kind === 'VP8L') {
    const bits = data.getUint32(21, true)
    return { width: (bits & 0x3fff) + 1, height: ((bits >> 14) & 0x3fff) + 1 }
  }
  if (kind !== 'VP8X') return undefined
  const side = (at: number) => 1 + data.getUint16(at, true) + (data.getUint8(at + 2) << 16)
  return { width: side(24), height: side(27) }
}

/**
 * The size of a PNG, JPEG, WebP or GIF picture.
 * @param bytes its beginning is enough
 */
export function pictureSize(bytes: Uint8Array): PictureSize | undefined {
  return attempt(() => {
    const data = view(bytes)
    if (ascii(bytes, 1, 3) === 'PNG') return { width: data.getUint32(16), height: data.getUint32(20) }
    if (ascii(bytes, 0, 3) === 'GIF') return { width: data.getUint16(6, true), height: data.getUint16(8, true) }
    if (bytes[0] === 0xff && bytes[1] === 0xd8) return jpegSize(bytes)
    if (ascii(bytes, 0, 4) === 'RIFF' && ascii(bytes, 8, 4) === 'WEBP') return webpSize(bytes)
    return undefined
  })
}

/** Pages of a PDF. Undefined where its page tree is compressed. */
export function pdfPages(bytes: Uint8Array): number | undefined {
  if (ascii(bytes, 0, 5) !== '%PDF-') return undefined
  // One character per byte, so that binary parts do no harm.
  const text = new TextDecoder('latin1').decode(bytes)
  const listed = text.match(/\/Type\s*\/Page(?![A-Za-z])/g)?.length ?? 0
  // The root of the page tree counts all of them. A linearized file says so at its beginning.
  const counts = [...text.matchAll(/\/Type\s*\/Pages\b[^>]{0,400}?\/Count\s+([0-9]{1,6})/g)]
  const reversed = [...text.matchAll(/\/Count\s+([0-9]{1,6})[^>]{0,400}?\/Type\s*\/Pages\b/g)]
  const linearized = [...text.slice(0, 2048).matchAll(/\/Linearized[^>]{0,400}?\/N\s+([0-9]{1,6})/g)]
  const pages = Math.max(listed, ...[...counts, ...reversed, ...linearized].map((match) => Number(match[1])))
  return pages > 0 ? pages : undefined
}

function wavSeconds(bytes: Uint8Array): number | undefined {
  const data = view(bytes)
  let byteRate = 0
  for (let at = 12; at + 8 <= bytes.length; ) {
    const [kind, size] = [ascii(bytes, at, 4), data.getUint32(at + 4, true)]
    if (kind === 'fmt ') byteRate = data.getUint32(at + 16, true)
    // A stream writes no size, or one that is too large.
    if (kind === 'data') return byteRate > 0 ? Math.min(size, bytes.length - at - 8) / byteRate : undefined
    at += 8 + size + (size % 2)
  }
  return undefined
}

const MP3_RATES = [44_100, 48_000, 32_000]
const MP3_BITRATES = {
  1: [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  2: [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
} as const

/** One frame of MPEG audio, layer 3. */
function mp3Frame(bytes: Uint8Array, at: number): { length: number; seconds: number } | undefined {
  const [first = 0, second = 0, third = 0] = bytes.subarray(at, at + 3)
  if (first !== 0xff || (second & 0xe6) !== 0xe2) return undefined
  const version = (second >> 3) & 3
  const rate = MP3_RATES[(third >> 2) & 3]
  const kilobits = MP3_BITRATES[version === 3 ? 1 : 2][(third >> 4) - 1]
  if (version === 1 || rate === undefined || kilobits === undefined) return undefined
  const hertz = version === 3 ? rate : version === 2 ? rate / 2 : rate / 4
  const samples = version === 3 ? 1152 : 576
  return { length: Math.floor((samples * kilobits * 125) / hertz) + ((third >> 1) & 1), seconds: samples / hertz }
}

/** Walks over all frames, which is right for a variable bit rate as well. */
function mp3Seconds(bytes: Uint8Array): number | undefined {
  let at = 0
  if (ascii(bytes, 0, 3) === 'ID3') {
    const [a = 0, b = 0, c = 0, d = 0] = bytes.subarray(6, 10)
    at = 10 + ((a << 21) | (b << 14) | (c << 7) | d)
  }
  let seconds = 0
  let lost = 0
  while (at + 4 <= bytes.length) {
    const frame = mp3Frame(bytes, at)
    if (frame === undefined) {
      at++
      lost++
    } else {
      at += frame.length
      seconds += frame.seconds
    }
  }
  // Mostly something else than frames: not an MP3, or a broken one.
  return seconds > 0 && lost < bytes.length / 4 ? seconds : undefined
}

/** MP4, MOV and M4A: the movie header. */
function mp4Seconds(bytes: Uint8Array): number | undefined {
  const data = view(bytes)
  const boxIn = (name: string, from: number, to: number): [number, number] | undefined => {
    for (let at = from; at + 8 <= to; ) {
      const size = data.getUint32(at)
      const wide = size === 1
      const length = wide ? Number(data.getBigUint64(at + 8)) : size === 0 ? to - at : size
      if (ascii(bytes, at + 4, 4) === name) return [at + (wide ? 16 : 8), Math.min(to, at + length)]
      if (length < 8) return undefined
      at += length
    }
    return undefined
  }
  const movie = boxIn('moov', 0, bytes.length)
  const header = movie && boxIn('mvhd', ...movie)
  if (header === undefined) return undefined
  const [at] = header
  const wide = data.getUint8(at) === 1
  const scale = data.getUint32(at + (wide ? 20 : 12))
  const duration = wide ? Number(data.getBigUint64(at + 24)) : data.getUint32(at + 16)
  return scale > 0 ? duration / scale : undefined
}

/** Seconds of a WAV, MP3, MP4, MOV or M4A file. */
export function mediaSeconds(bytes: Uint8Array): number | undefined {
  return attempt(() => {
    if (ascii(bytes, 0, 4) === 'RIFF' && ascii(bytes, 8, 4) === 'WAVE') return wavSeconds(bytes)
    if (ascii(bytes, 4, 4) === 'ftyp') return mp4Seconds(bytes)
    return mp3Seconds(bytes)
  })
}
