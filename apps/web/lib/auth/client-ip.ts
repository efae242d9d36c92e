import { isIP } from 'node:net'

/**
 * The address of the client, from the header that the platform in front of this app sets. Undefined when
 * `CLIENT_IP_HEADER` names none: a header that clients can set themselves is worth nothing.
 */
export function clientIp(headers: Headers, headerName: string | undefined): string | undefined {
  if (headerName === undefined) return undefined
  // The last entry is the one that the nearest proxy added. What stands before it came with the request.
  const address = headers.get(headerName)?.split(',').at(-1)?.trim()
  return address !== undefined && isIP(address) !== 0 ? address : undefined
}
