import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { bannedWords } from './words.ts'

/** The limits of design and style: columns and lines. */
const TS_COLUMNS = 120
const SQL_COLUMNS = 100
const SQL_FUNCTION_LINES = 70

/** One place that breaks a rule. */
export interface Finding {
  rule: 'word' | 'columns' | 'function' | 'name'
  file: string
  line: number
  message: string
}

const SOURCES = ['{packages,apps,bench,chaos,scripts,supabase,docs,.github}/**/*.{ts,tsx,mjs,sql,md,yml}', '*.{ts,md}']
const FOLDERS_LEFT_OUT = new Set(['node_modules', 'dist', '.next', '.stack', 'data', 'coverage'])
/** Generated from sources that are read themselves, or the list of words itself. */
const FILES_LEFT_OUT = [
  /^supabase\/(schema\.snapshot|seed)\.sql$/,
  /database\.types\.ts$/,
  /^docs\/sql\.md$/,
  /^scripts\/tidy\//,
  /^scripts\/tidy\.test\.ts$/,
  /^packages\/credits\/(docs|migrations|examples|rates)\//,
  /\.out$/,
]

/** Every source and page of the repository, as paths from its root. */
export function sourceFiles(root: string): string[] {
  const files = globSync(SOURCES, { cwd: root, exclude: (name) => FOLDERS_LEFT_OUT.has(name.split('/').at(-1) ?? '') })
  return files.filter((file) => !FILES_LEFT_OUT.some((pattern) => pattern.test(file))).sort()
}

/** All findings of the repository, by rule and file. */
export function findAll(root: string): Finding[] {
  return sourceFiles(root).flatMap((file) => findIn(file, readFileSync(join(root, file), 'utf8')))
}

/** The findings of one file. */
export function findIn(file: string, text: string): Finding[] {
  const lines = text.split('\n')
  const ours = /^supabase\/migrations\/\d+_credits_/.test(file)
  return [
    ...lines.flatMap((line, index) => words(file, line, index + 1)),
    ...lines.flatMap((line, index) => columns(file, line, index + 1)),
    ...(file.endsWith('.sql') ? sqlFunctions(file, lines) : []),
    ...(ours ? lines.flatMap((line, index) => shortNames(file, line, index + 1)) : []),
  ]
}

function words(file: string, text: string, line: number): Finding[] {
  return bannedWords(file, text).map(({ word, use }) => ({
    rule: 'word',
    file,
    line,
    message: `"${word}" (use: ${use}): ${excerpt(text)}`,
  }))
}

/** Statements that Supabase writes this way on its own projects; they are compared with theirs line by line. */
const NOT_OURS = /^packages\/local-stack\/(sql|__tests__\/fixtures)\//

function columns(file: string, text: string, line: number): Finding[] {
  if (NOT_OURS.test(file)) return []
  const limit = /\.(ts|tsx|mjs)$/.test(file) ? TS_COLUMNS : file.endsWith('.sql') ? SQL_COLUMNS : Infinity
  if (text.length <= limit) return []
  return [{ rule: 'columns', file, line, message: `${text.length} columns, at most ${limit}: ${excerpt(text)}` }]
}

/** From `create function` to the end of its body. Biome counts the lines of TypeScript functions. */
function sqlFunctions(file: string, lines: readonly string[]): Finding[] {
  const findings: Finding[] = []
  let start = -1
  let quotes = 0
  for (const [index, line] of lines.entries()) {
    if (start < 0 && /^\s*create (or replace )?function\b/i.test(line)) {
      start = index
      quotes = 0
    }
    if (start < 0) continue
    quotes += line.match(/\$(?:[a-z_]*)\$/gi)?.length ?? 0
    if (quotes < 2 || quotes % 2 !== 0 || !line.includes(';')) continue
    const length = index - start + 1
    const name = /function\s+([\w.]+)/i.exec(lines[start] ?? '')?.[1]
    if (length > SQL_FUNCTION_LINES)
      findings.push({ rule: 'function', file, line: start + 1, message: `${name}: ${length} lines, at most 70` })
    start = -1
  }
  return findings
}

/** Rows and variables have whole words: no alias and no variable of a single letter. */
function shortNames(file: string, text: string, line: number): Finding[] {
  const code = text.replace(/--.*$/, '')
  const alias = /\b(?:from|join|update|into)\s+[\w.]+\s+(?:as\s+)?([a-z])\b(?!\s*\()/i.exec(code)?.[1]
  const variable = /^\s+([a-z])\s+(?:public|credits_private|pg_catalog|integer|bigint|numeric|text|jsonb|uuid)\b/i.exec(
    code,
  )?.[1]
  const name = alias ?? variable
  return name === undefined ? [] : [{ rule: 'name', file, line, message: `"${name}" is one letter: ${excerpt(text)}` }]
}

function excerpt(text: string): string {
  const trimmed = text.trim()
  return trimmed.length > 110 ? `${trimmed.slice(0, 107)}...` : trimmed
}

/** The findings as text, a line each, with their number by rule and by file at the end. */
export function report(findings: readonly Finding[]): string {
  if (findings.length === 0) return ''
  const listed = findings.map(({ file, line, rule, message }) => `${file}:${line}  ${rule}  ${message}`)
  const rules = count(findings.map(({ rule }) => rule)).map(([rule, number]) => `${number} ${rule}`)
  const files = count(findings.map(({ file }) => file)).map(
    ([file, number]) => `${String(number).padStart(5)}  ${file}`,
  )
  return [...listed, '', 'By file:', ...files, '', `${findings.length} findings: ${rules.join(', ')}`].join('\n')
}

function count(names: readonly string[]): [string, number][] {
  const numbers = new Map<string, number>()
  for (const name of names) numbers.set(name, (numbers.get(name) ?? 0) + 1)
  return [...numbers].sort(([, a], [, b]) => b - a)
}
