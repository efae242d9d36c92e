import type { MetadataRoute } from 'next'

/** Pages of an account are of no use to a search engine. */
export default function robots(): MetadataRoute.Robots {
  return { rules: { userAgent: '*', disallow: ['/api/', '/auth/', '/chat', '/history', '/admin'] } }
}
