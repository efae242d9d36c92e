import type { Handler } from '../../http/front-door.ts'
import { escapeHtml, replyHtml, replyJson } from '../../http/reply.ts'
import type { Mail, Outbox } from './outbox.ts'

/**
 * The mail catcher: `/_dev/mail` for people, `/_dev/mail/messages[?to=address]` as JSON for tests (DELETE empties it),
 * `/_dev/mail/<id>` for one message.
 */
export function createMailPage(outbox: Outbox): Handler {
  return (req, res, path, url) => {
    if (path === '/messages') {
      if (req.method === 'DELETE') outbox.clear()
      replyJson(res, 200, { messages: outbox.list(url.searchParams.get('to') ?? undefined) })
      return
    }
    if (path === '' || path === '/') {
      replyHtml(res, 200, page('Mail', list(outbox.list())))
      return
    }
    const mail = outbox.find(path.slice(1))
    replyHtml(res, mail ? 200 : 404, page(mail?.subject ?? 'Mail', mail ? message(mail) : '<p>No such message.</p>'))
  }
}

function list(mails: Mail[]): string {
  if (mails.length === 0) return '<p>No mail yet. Everything the auth server sends arrives here.</p>'
  const rows = mails.map((mail) => {
    const link = `<a href="/_dev/mail/${mail.id}">${escapeHtml(mail.subject)}</a>`
    return `<tr><td>${escapeHtml(mail.to)}</td><td>${link}</td><td>${escapeHtml(mail.sentAt)}</td></tr>`
  })
  return `<table><tr><th>To</th><th>Subject</th><th>Sent</th></tr>${rows.join('')}</table>`
}

/** The message itself lies in a frame without rights: its template is the app's, not ours. */
function message(mail: Mail): string {
  const link = `<a href="${escapeHtml(mail.link)}">Follow the link of this message</a>`
  return `<p><a href="/_dev/mail">All mail</a></p><p>To ${escapeHtml(mail.to)}, ${escapeHtml(mail.sentAt)}</p>
<p>${link} · code <code>${escapeHtml(mail.otp)}</code></p>
<iframe sandbox title="Message" srcdoc="${escapeHtml(mail.html)}"></iframe>`
}

const STYLE = [
  'body{font:16px/1.5 system-ui;margin:2rem auto;max-width:60rem;padding:0 1rem}',
  'table{border-collapse:collapse;width:100%}',
  'td,th{text-align:left;padding:.4rem .8rem;border-bottom:1px solid #ddd}',
  'iframe{width:100%;height:26rem;border:1px solid #ddd;border-radius:8px}',
].join('')

/** A page of the development servers. */
export function page(title: string, body: string): string {
  const heading = escapeHtml(title)
  return [
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
    `<title>${heading}</title><style>${STYLE}</style></head><body><h1>${heading}</h1>${body}`,
    '<p><small>Local stack, for development only.</small></p></body></html>',
  ].join('')
}
