import { expect, test } from 'vitest'
import { z } from 'zod'
import { openApiDocument, parseProblem, problemResponse, protectedRoute, withProblems } from '../../src/http/index.ts'
import { routes } from '../../src/http/routes.ts'
import { CreditError, type CreditErrorCode, ERROR_CODES } from '../../src/index.ts'
import { makeApi, ORIGIN, problemOf } from '../kit/http-api.ts'

const codes = Object.keys(ERROR_CODES) as CreditErrorCode[]

test.each(codes)('%s becomes a problem body with its status, and its type leads to its explanation', async (code) => {
  const { send } = makeApi()
  const response = problemResponse(new CreditError({ code }), { onError: () => undefined })
  const { status, body } = await problemOf(response)
  expect(status).toBe(ERROR_CODES[code].status)
  expect(response.headers.has('retry-after')).toBe(ERROR_CODES[code].retryable)
  expect(body).toMatchObject({ code, title: ERROR_CODES[code].title })
  const url = new URL(String(body.type), ORIGIN)
  const { data } = await (await send(url.pathname.replace(/^\/api/, ''), { as: 'nobody' })).json()
  const explained = data.find((row: { code: string }) => `#${row.code.toLowerCase()}` === url.hash)
  expect(explained).toMatchObject({ code, description: ERROR_CODES[code].description })
})

test('handlers on another base path point to the explanations there', async () => {
  const { handlers } = makeApi({ basePath: '/v1' })
  const { body } = await problemOf(await handlers.GET(new Request(`${ORIGIN}/v1/credits/balance`)))
  expect(body.type).toBe('/v1/credits/errors#unauthenticated')
  expect((await handlers.GET(new Request(`${ORIGIN}${body.type}`))).status).toBe(200)
})

test('a call that costs too much answers 402 with balance, required and an upgrade URL', async () => {
  const { credits, userId } = makeApi()
  const chat = withProblems(async () => {
    await credits.reserve({ userId, amount: '50.000001' })
    return new Response('an answer')
  })
  const response = await chat(new Request(`${ORIGIN}/api/chat`, { method: 'POST' }))
  const { body } = await problemOf(response.clone())
  expect(body).toMatchObject({
    status: 402,
    code: 'INSUFFICIENT_CREDITS',
    available: '50',
    balance: '50',
    required: '50.000001',
    upgradeUrl: '/upgrade',
  })
  const text = await response.text()
  expect(parseProblem(text)?.code).toBe('INSUFFICIENT_CREDITS')
  expect(parseProblem(new Error(text))).toMatchObject({ status: 402, details: { required: '50.000001' } })
})

test('a 402 that names no upgrade URL gets the one of the route', async () => {
  const error = new CreditError({ code: 'INSUFFICIENT_CREDITS', details: { available: '1', required: '2' } })
  expect((await problemOf(problemResponse(error, { upgradeUrl: '/buy' }))).body.upgradeUrl).toBe('/buy')
})

test('details that are not meant for clients never leave the server', async () => {
  const error = new CreditError({
    code: 'INVALID_INPUT',
    message: 'amount: must be above zero',
    details: { issues: [], sql: 'select 1', userId: 'another', hint: 'host db.internal' },
    cause: new Error('connect to db.internal'),
  })
  const { body } = await problemOf(problemResponse(error))
  expect(Object.keys(body).sort()).toEqual(['code', 'detail', 'issues', 'status', 'title', 'type'])
})

test('onError of a route receives the error with what was being done and for whom', async () => {
  const { userId } = makeApi()
  const seen: unknown[] = []
  const broken = new Error('broken')
  const options = { getUser: () => ({ id: userId }), onError: (...given: unknown[]) => void seen.push(given) }
  const route = protectedRoute(options, () => {
    throw broken
  })
  expect((await route(new Request(`${ORIGIN}/api/chat`))).status).toBe(500)
  expect(seen).toEqual([[broken, { operation: 'GET /api/chat', userId }]])
})

test('the operator’s own empty wallet at the gateway is a 503, never the user’s 402', async () => {
  const gatewayError = Object.assign(new Error('insufficient_funds'), {
    statusCode: 402,
    [Symbol.for('vercel.ai.gateway.error')]: true,
  })
  expect(await problemOf(problemResponse(gatewayError, { onError: () => undefined }))).toMatchObject({
    status: 503,
    code: 'PROVIDER_UNAVAILABLE',
  })
})

test('a protected route of the app checks session, origin and body before its handler runs', async () => {
  const { userId } = makeApi()
  let calls = 0
  const route = protectedRoute(
    {
      getUser: (request) => (request.headers.has('cookie') ? { id: userId } : null),
      body: z.strictObject({ prompt: z.string().min(1) }),
      maxBodyBytes: 100,
    },
    ({ user, body }) => {
      calls++
      return Response.json({ user: user.id, prompt: body.prompt })
    },
  )
  const send = (headers: Record<string, string>, body: string) =>
    route(
      new Request(`${ORIGIN}/api/x`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body,
      }),
    )
  const good = { cookie: 'session=user', origin: ORIGIN }
  expect((await send({}, '{"prompt":"a"}')).status).toBe(401)
  expect((await send({ ...good, origin: 'https://evil.example' }, '{"prompt":"a"}')).status).toBe(403)
  expect((await send(good, '{"prompt":""}')).status).toBe(422)
  expect((await send(good, `{"prompt":"${'a'.repeat(200)}"}`)).status).toBe(422)
  expect(calls).toBe(0)
  expect(await (await send(good, '{"prompt":"a"}')).json()).toEqual({ user: userId, prompt: 'a' })
})

test('the OpenAPI document is served, is 3.1, describes every route of the table, and every reference in it resolves', async () => {
  const { send } = makeApi()
  const document = await (await send('/credits/openapi.json', { as: 'nobody' })).json()
  expect(document).toEqual(JSON.parse(JSON.stringify(openApiDocument())))
  expect(document.openapi).toBe('3.1.0')
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path]) => path ?? '')
  expect(references.length).toBeGreaterThan(10)
  for (const reference of references) {
    const found = reference
      .split('/')
      .reduce<unknown>((node, key) => (node as Record<string, unknown>)?.[key], document)
    expect(found, reference).toBeDefined()
  }
  for (const { path, method, access, query, body } of routes) {
    const operation = document.paths[path]?.[method.toLowerCase()]
    expect(operation, `${method} ${path}`).toBeDefined()
    expect(operation.security, path).toEqual(access === 'public' ? [] : undefined)
    const names = (operation.parameters ?? []).map(({ name }: { name: string }) => name)
    expect(names, path).toEqual(Object.keys(query?.shape ?? {}))
    expect(operation.requestBody !== undefined, path).toBe(body !== undefined)
  }
  const described = Object.values(document.paths as Record<string, object>).flatMap(Object.keys)
  expect(described.filter((key) => key !== 'parameters')).toHaveLength(routes.length)
})

test('the OpenAPI document names every public detail of the error table in its problem schema', () => {
  const { components } = JSON.parse(JSON.stringify(openApiDocument()))
  const names = Object.values(ERROR_CODES).flatMap(({ details }) =>
    Object.entries(details as Record<string, { internal?: true }>).flatMap(([name, row]) =>
      row.internal ? [] : [name],
    ),
  )
  expect(Object.keys(components.schemas.Problem.properties)).toEqual(expect.arrayContaining(names))
})
