import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mediaSeconds, pdfPages, pictureSize } from './file-headers.ts'

const text = (...parts: (string | number[])[]) =>
  Uint8Array.from(parts.flatMap((part) => (typeof part === 'string' ? [...part].map((c) => c.charCodeAt(0)) : part)))
const u16 = (value: number) => [value >> 8, value & 255]
const u32 = (value: number) => [...u16(value >>> 16), ...u16(value & 0xffff)]
const le = (bytes: number[]) => bytes.toReversed()

describe('pictureSize', () => {
  const png = text([0x89], 'PNG\r\n', [0x1a, 0x0a], u32(13), 'IHDR', u32(640), u32(480))
  const jpeg = text(
    [0xff, 0xd8, 0xff, 0xe1],
    u16(6),
    'Exif',
    [0xff, 0xff, 0xc4],
    u16(4),
    [0, 0, 0xff, 0xc2],
    u16(17),
    [8],
    u16(480),
    u16(640),
    [3, 1, 0],
  )
  const webp = (kind: string, body: number[]) => text('RIFF', u32(0), 'WEBP', kind, u32(0), body)

  it.each([
    ['PNG', png],
    ['GIF', text('GIF89a', le(u16(640)), le(u16(480)))],
    ['JPEG with metadata before its frame', jpeg],
    ['lossy WebP', webp('VP8 ', [0, 0, 0, 0x9d, 0x01, 0x2a, ...le(u16(640)), ...le(u16(480))])],
    ['lossless WebP', webp('VP8L', [0x2f, ...le(u32(((480 - 1) << 14) | (640 - 1)))])],
    ['extended WebP', webp('VP8X', [0, 0, 0, 0, ...le(u16(639)), 0, ...le(u16(479)), 0])],
  ])('reads a %s', (_, bytes) => {
    expect(pictureSize(bytes)).toEqual({ width: 640, height: 480 })
  })

  it('gives nothing for a picture that is cut off or of another kind', () => {
    for (const bytes of [png.subarray(0, 18), jpeg.subarray(0, 14), text('BM', u32(1)), new Uint8Array()]) {
      expect(pictureSize(bytes)).toBeUndefined()
    }
  })
})

describe('pdfPages', () => {
  const page = '<< /Type /Page /Parent 2 0 R >>\n'

  it('counts pages, and believes the page tree where it says more', () => {
    expect(pdfPages(text('%PDF-1.4\n', page, page, '<< /Type /Pages /Kids [3 0 R 4 0 R] /Count 2 >>'))).toBe(2)
    expect(pdfPages(text('%PDF-1.7\n', page, '<< /Type /Pages /Count 12 /Kids [] >>'))).toBe(12)
    expect(pdfPages(text('%PDF-1.7\n<< /Count 7 /Type /Pages >>'))).toBe(7)
    expect(pdfPages(text('%PDF-1.5\n<< /Linearized 1 /L 9000 /N 31 >>'))).toBe(31)
  })

  it('gives nothing where the page tree is compressed, and for what is no PDF', () => {
    expect(pdfPages(text('%PDF-1.5\n<< /Type /ObjStm >> stream'))).toBeUndefined()
    expect(pdfPages(text(page))).toBeUndefined()
  })
})

describe('mediaSeconds', () => {
  const wav = (dataSize: number, samples: number) =>
    text(
      'RIFF',
      le(u32(0)),
      'WAVEfmt ',
      le(u32(16)),
      [...le(u16(1)), ...le(u16(1)), ...le(u32(8000)), ...le(u32(16_000)), ...le(u16(2)), ...le(u16(16))],
      'data',
      le(u32(dataSize)),
      Array.from({ length: samples }, () => 0),
    )
  /** MPEG 1, layer 3, 128 kbit/s, 44,100 Hz: 417 bytes, 1,152 samples. */
  const frame = text([0xff, 0xfb, 0x90, 0x00], new Array(413).fill(0))
  const frames = (count: number) => Uint8Array.from(Array.from({ length: count }, () => [...frame]).flat())
  const mp4 = (header: number[]) =>
    text(
      u32(16),
      'ftypisom',
      u32(0),
      u32(8),
      'free',
      u32(16 + header.length),
      'moov',
      u32(8 + header.length),
      'mvhd',
      header,
    )

  it('reads a WAV by its byte rate, and by its length where a stream wrote no size', () => {
    expect(mediaSeconds(wav(32_000, 32_000))).toBe(2)
    expect(mediaSeconds(wav(0xffffffff, 16_000))).toBe(1)
  })

  it('adds up the frames of an MP3, behind its tags', () => {
    expect(mediaSeconds(frames(100))).toBeCloseTo((100 * 1152) / 44_100, 6)
    const tag = text('ID3', [4, 0, 0, 0, 0, 1, 0], new Array(128).fill(0))
    expect(mediaSeconds(Uint8Array.from([...tag, ...frames(10)]))).toBeCloseTo((10 * 1152) / 44_100, 6)
  })

  it('reads the movie header of an MP4, in both of its versions', () => {
    expect(mediaSeconds(mp4([0, 0, 0, 0, ...u32(0), ...u32(0), ...u32(600), ...u32(9000)]))).toBe(15)
    const wide = [1, 0, 0, 0, ...u32(0), ...u32(0), ...u32(0), ...u32(0), ...u32(600), ...u32(0), ...u32(9000)]
    expect(mediaSeconds(mp4(wide))).toBe(15)
  })

  it('gives nothing for other bytes', () => {
    for (const bytes of [new Uint8Array(), text('OggS', new Array(2000).fill(7)), wav(0, 0).subarray(0, 20)]) {
      expect(mediaSeconds(bytes)).toBeUndefined()
    }
  })
})

it('no reader throws or hangs on any bytes', () => {
  const starts = ['', '%PDF-', 'RIFF....WAVE', 'RIFF....WEBPVP8X', '....ftyp', '\x89PNG', 'GIF89a', 'ID3', 'ÿØ', 'ÿû']
  fc.assert(
    fc.property(fc.constantFrom(...starts), fc.uint8Array({ maxLength: 400 }), (start, rest) => {
      const bytes = Uint8Array.from([...text(start), ...rest])
      for (const read of [pictureSize, pdfPages, mediaSeconds]) read(bytes)
    }),
    { numRuns: 5000 },
  )
})
