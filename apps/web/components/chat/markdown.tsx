import { Typography } from '@mantine/core'
import { memo } from 'react'
import ReactMarkdown, { type Components } from 'react-markdown'
import remarkGfm from 'remark-gfm'
import classes from './chat.module.css'

const PLUGINS = [remarkGfm]

// A picture's address is fetched without a click: a model that was tricked could send the conversation along in it.
const DISALLOWED = ['img']

const COMPONENTS: Components = {
  a: ({ href, children }) => (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  ),
  pre: ({ children }) => (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a block that scrolls sideways must be reachable by keyboard
    <pre tabIndex={0}>{children}</pre>
  ),
}

/** An answer's Markdown. HTML in it stays text. */
export const Markdown = memo(function Markdown({ text }: { text: string }) {
  return (
    <Typography className={classes.answer}>
      <ReactMarkdown remarkPlugins={PLUGINS} disallowedElements={DISALLOWED} components={COMPONENTS}>
        {text}
      </ReactMarkdown>
    </Typography>
  )
})
