import { sleep } from './scripted-model.ts'

/** How a provider of live speech behaves. */
export interface Live {
  /** What comes out for each piece that goes in; default: audio. */
  says?: (piece: unknown) => object
  /** The last part, from what was read. Undefined: the stream ends without one. */
  ends?: (read: unknown[]) => object | undefined
  /** Breaks after so many pieces. */
  breaksAfter?: number
  /** Refuses the call. */
  refuses?: unknown
  delayMs?: number
}

export interface LiveJournal {
  calls: number
  /** Pieces of input that the provider has read. */
  read: unknown[]
  outcome: 'running' | 'finished' | 'cancelled' | 'aborted' | 'broken' | undefined
}

/**
 * A model that answers while it listens: one part out for each piece in, read only when it is asked for one. It gives
 * its input back, as the specification wants it, whichever way the call ends.
 */
export function liveModel(modelId: string, input: 'text' | 'audio', live: Live = {}) {
  const { says = () => ({ type: 'audio', audio: new Uint8Array(8), audioFormat: { type: 'audio/pcm' } }) } = live
  const journal: LiveJournal = { calls: 0, read: [], outcome: undefined }
  const doStream = async (options: Record<string, unknown> & { abortSignal?: AbortSignal }) => {
    journal.calls++
    if (live.refuses !== undefined) throw live.refuses
    journal.outcome = 'running'
    const reader = (options[input] as ReadableStream<unknown>).getReader()
    let ended = false
    const stream = new ReadableStream<object>(
      {
        start(controller) {
          options.abortSignal?.addEventListener('abort', () => {
            if (journal.outcome !== 'running') return
            journal.outcome = 'aborted'
            controller.error(options.abortSignal?.reason)
            void reader.cancel(options.abortSignal?.reason)
          })
        },
        async pull(controller) {
          if (ended) return controller.close()
          await sleep(live.delayMs ?? 0)
          if (journal.outcome !== 'running') return
          if (journal.read.length === live.breaksAfter) {
            journal.outcome = 'broken'
            void reader.cancel()
            return controller.error(new Error('socket hang up'))
          }
          const { done, value } = await reader.read()
          if (journal.outcome !== 'running') return
          if (!done) {
            journal.read.push(value)
            return controller.enqueue(says(value))
          }
          ended = true
          journal.outcome = 'finished'
          const last = live.ends === undefined ? { type: 'finish' } : live.ends(journal.read)
          if (last === undefined) controller.close()
          else controller.enqueue(last)
        },
        cancel(reason) {
          if (journal.outcome !== 'running') return
          journal.outcome = 'cancelled'
          void reader.cancel(reason)
        },
      },
      { highWaterMark: 0 },
    )
    return { stream }
  }
  return {
    journal,
    model: { specificationVersion: 'v4', provider: 'gateway', modelId, doGenerate: doStream, doStream },
  }
}

/** A stream that says whether somebody gave it up. */
export function producer<Piece>(pieces: readonly Piece[], delayMs = 0) {
  let next = 0
  const state = { given: 0, cancelled: false }
  const stream = new ReadableStream<Piece>(
    {
      async pull(controller) {
        await sleep(delayMs)
        const piece = pieces[next++]
        if (piece === undefined) return controller.close()
        state.given++
        controller.enqueue(piece)
      },
      cancel() {
        state.cancelled = true
      },
    },
    { highWaterMark: 0 },
  )
  return { state, stream }
}
