/**
 * The names that recipes leave to the reader. `pnpm check` compiles every block of TypeScript in the READMEs and in
 * docs/ with these declarations and nothing else; a block that needs another name has to import it.
 */

/** The app's `Credits`, see "One instance" in recipes.md. */
declare const credits: import('@layers/credits').Credits
/** The user who pays, from a verified session. */
declare const userId: string
/** Any language model of the AI SDK. */
declare const model: import('ai').LanguageModel
