import { escapeHtml } from '../../http/reply.ts'

/** The e-mails there are, by the names of `supabase/config.toml`. */
export const MAIL_KINDS = ['confirmation', 'recovery', 'magic_link', 'email_change', 'invite'] as const

/** A kind of e-mail. */
export type MailKind = (typeof MAIL_KINDS)[number]

/** Subject and body in GoTrue's template language: `{{ .ConfirmationURL }}`, `{{ .Token }}`, ... */
export interface MailTemplate {
  subject?: string
  html?: string
}

/** What a template can show. */
export interface MailVariables {
  ConfirmationURL: string
  /** The six digits. */
  Token: string
  TokenHash: string
  SiteURL: string
  RedirectTo: string
  Email: string
  NewEmail: string
}

const SUBJECTS: Record<MailKind, string> = {
  confirmation: 'Confirm Your Signup',
  recovery: 'Reset Your Password',
  magic_link: 'Your Magic Link',
  email_change: 'Confirm Email Change',
  invite: 'You have been invited',
}

const PLAIN =
  '<h2>{{ .Subject }}</h2><p><a href="{{ .ConfirmationURL }}">Follow this link</a></p>' +
  '<p>Or enter the code: {{ .Token }}</p>'

/** Fills a template in. */
export function renderMail(
  kind: MailKind,
  template: MailTemplate | undefined,
  variables: MailVariables,
): { subject: string; html: string } {
  const subject = fill(template?.subject ?? SUBJECTS[kind], variables, (text) => text)
  return { subject, html: fill(template?.html ?? PLAIN, { ...variables, Subject: subject }, escapeHtml) }
}

function fill(text: string, variables: object, encode: (text: string) => string): string {
  const values = variables as Record<string, string>
  return text.replace(/\{\{\s*\.(\w+)\s*\}\}/g, (_whole, name: string) => encode(values[name] ?? ''))
}
