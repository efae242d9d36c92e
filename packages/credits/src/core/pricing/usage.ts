/**
 * Counted units of one provider call. All counts are non-negative integers (seconds may be fractional).
 * `inputTokens` is the TOTAL: cache reads and writes are parts of it; `outputTokens` includes reasoning.
 * Absent means unknown or not applicable, never zero by assumption.
 */
export interface Usage {
  inputTokens?: number | undefined
  cacheReadTokens?: number | undefined
  /** Part of `cacheReadTokens` that is audio, and so part of `audioInputTokens` as well. */
  cacheReadAudioTokens?: number | undefined
  cacheWriteTokens?: number | undefined
  /** Part of `cacheWriteTokens` written for one hour. */
  cacheWrite1hTokens?: number | undefined
  outputTokens?: number | undefined
  /** Part of `outputTokens`, for information. */
  reasoningTokens?: number | undefined
  webSearches?: number | undefined
  mapsSearches?: number | undefined
  /** Embeddings and reranking. */
  tokens?: number | undefined
  images?: number | undefined
  size?: string | undefined
  quality?: string | undefined
  style?: string | undefined
  operation?: string | undefined
  seconds?: number | undefined
  resolution?: string | undefined
  mode?: string | undefined
  audio?: boolean | undefined
  voiceControl?: boolean | undefined
  videoTokens?: number | undefined
  videoInput?: boolean | undefined
  characters?: number | undefined
  audioInputTokens?: number | undefined
  audioOutputTokens?: number | undefined
  messages?: number | undefined
  /** What the provider really served, not what was asked for. */
  serviceTier?: string | undefined
  fast?: boolean | undefined
  region?: string | undefined
  batch?: boolean | undefined
  /** ISO time of the request's start, for peak windows. */
  startedAt?: string | undefined
}
