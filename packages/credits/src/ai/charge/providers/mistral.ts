import { countOf, fieldsOf, type ReadProvider } from './reading.ts'

/** Mistral: audio tokens under its second name for the details of a prompt. */
export const readMistral: ReadProvider = ({ raw }) => {
  const audioInputTokens = countOf(fieldsOf(raw.prompt_token_details).audio_tokens)
  return audioInputTokens === undefined || audioInputTokens === 0 ? undefined : { usage: { audioInputTokens } }
}
