import { readFileSync } from 'node:fs'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestStack, type TestStack } from '../kit/stack.ts'

const read = (path: string) => readFileSync(new URL(`../../../../${path}`, import.meta.url), 'utf8')

describe('supabase-mcp-setup', () => {
  let test: TestStack
  let client: Client
  beforeAll(async () => {
    test = await createTestStack()
    client = new Client({ name: 'story', version: '1.0.0' })
    await client.connect(new StreamableHTTPClientTransport(new URL(test.stack.mcpUrl)))
  })
  afterAll(async () => {
    await client?.close()
    await test?.stop()
  })

  const call = async (name: string, args: Record<string, unknown> = {}) => {
    const result = await client.callTool({ name, arguments: args })
    expect(result.isError ?? false).toBe(false)
    return JSON.stringify(result.structuredContent ?? result.content)
  }

  it('.mcp.json names the hosted Supabase MCP server and Context7', () => {
    const { mcpServers } = JSON.parse(read('.mcp.json')) as { mcpServers: Record<string, unknown> }
    expect(mcpServers.supabase).toMatchObject({ type: 'http', url: 'https://mcp.supabase.com/mcp' })
    expect(mcpServers.context7).toMatchObject({ type: 'http', url: 'https://mcp.context7.com/mcp' })
  })

  it('the docs give the one-line command to add each MCP server', () => {
    const docs = read('docs/supabase.md')
    expect(docs).toMatch(/mcp add .*https:\/\/mcp\.supabase\.com\/mcp/)
    expect(docs).toMatch(/mcp add .*https:\/\/mcp\.context7\.com\/mcp/)
  })

  it('an MCP client lists projects and tables of the local stack through the real Supabase MCP server', async () => {
    expect(client.getServerVersion()?.name).toBe('supabase')
    const projects = await call('list_projects')
    expect(projects).toContain('local')
    const tables = await call('list_tables', { project_id: 'local', schemas: ['public'] })
    for (const name of ['profiles', 'credit_balances', 'credit_transactions', 'credit_reservations']) {
      expect(tables).toContain(name)
    }
  })
})
