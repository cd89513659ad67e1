// Relying parties that none of us wrote (openid-client, oauth4webapi, jose) against a running `hufu serve --demo`:
//   node login.mjs BASE FILE-WITH-THE-SECRET-OF-THE-SAMPLE-HALL
// The demo citizen logs in by walking the pages. Prints a line for each check and ends with "N passed, N failed".
import { webcrypto } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { deepStrictEqual as same, ok, rejects, strictEqual as equal } from 'node:assert'
import * as jose from 'jose'
import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'
import { Browser } from './browser.mjs'

globalThis.crypto ??= webcrypto // Node 18, which Debian 12 has, keeps it behind a flag
const [base, secretFile] = process.argv.slice(2)
const half = readFileSync(secretFile, 'utf8').trim()
const password = 'Hufu-demo-2026'
const citizen = () => new Browser('wangxiaoya', password)
const http = { execute: [client.allowInsecureRequests] } // loopback

let passed = 0, failed = 0
async function check(name, f) {
  try {
    await f()
    console.log(`ok ${++passed + failed} - ${name}`)
  } catch (e) {
    console.log(`not ok ${passed + ++failed} - ${name}`)
    console.log(String(e.stack ?? e).replace(/^/gm, '  # '))
    if (e.cause) console.log('  # cause:', e.cause)
  }
}

// The applications: a public one, and the sample hall, which is confidential.
const app = { id: 'openid-client-test', redirect: 'http://127.0.0.1:9/callback', scope: 'openid profile phone entity identity offline_access' }
const hall = { id: 'sample-hall', redirect: `${base}/sample/callback`, scope: 'openid profile entity', secret: half + half }
const jwks = jose.createRemoteJWKSet(new URL(`${base}/oauth2/jwks`))

async function configure(a) {
  const auth = a.secret ? client.ClientSecretBasic(a.secret) : client.None()
  const metadata = { id_token_signed_response_alg: a.secret ? 'ES256' : 'RS256' }
  const config = await client.discovery(new URL(base), a.id, metadata, auth, http)
  client.enableNonRepudiationChecks(config) // the id_token's signature is checked, though it came over the back channel
  return config
}

// ask makes an authorization request and keeps what the answer is to be checked against; "-" leaves a parameter out.
async function ask(a, config, extra = {}) {
  const verifier = client.randomPKCECodeVerifier()
  const checks = { pkceCodeVerifier: verifier, expectedState: client.randomState(), expectedNonce: client.randomNonce(), idTokenExpected: true }
  const parameters = {
    redirect_uri: a.redirect, scope: a.scope, state: checks.expectedState, nonce: checks.expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...extra,
  }
  for (const name in parameters) if (parameters[name] === '-') delete parameters[name]
  return { url: client.buildAuthorizationUrl(config, parameters), checks }
}

// code goes as far as the callback, login all the way.
async function code(a, config, browser, { choice, ...extra } = {}) {
  const { url, checks } = await ask(a, config, extra)
  const { callback, page } = await browser.walk(url, a.redirect, choice)
  if (!callback) throw new Error(`the log-in ended on ${page.url}, status ${page.status}`)
  return { callback, checks }
}
async function login(a, config, browser, options) {
  const { callback, checks } = await code(a, config, browser, options)
  return client.authorizationCodeGrant(config, callback, checks)
}

// refused expects an OAuth error by its code. A 401 with a challenge leaves the body for us to read.
async function refused(promise, ...codes) {
  const e = await promise.then((got) => { throw new Error(`want ${codes}, was taken: ${JSON.stringify(got)}`) }, (e) => e)
  const error = e.error ?? e.cause?.error ?? (e.response?.bodyUsed === false ? (await e.response.json()).error : undefined)
  if (!codes.includes(error)) throw new Error(`want ${codes}, got ${error}`, { cause: e })
}
const userinfo = (token) => fetch(`${base}/oauth2/userinfo`, { headers: { authorization: `Bearer ${token}` } })
const dead = async (token) => equal((await userinfo(token)).status, 401, 'a dead access token is taken')
const alive = async (token) => equal((await userinfo(token)).status, 200, 'a live access token is refused')

const config = await configure(app)
const hallConfig = await configure(hall)
const browser = citizen()
let tokens // of the first log-in

await check('discovery: issuer, S256, iss in the answer, no implicit flow', () => {
  const m = config.serverMetadata()
  equal(m.issuer, base)
  ok(m.supportsPKCE('S256') && !m.code_challenge_methods_supported.includes('plain'))
  equal(m.authorization_response_iss_parameter_supported, true)
  same(m.response_types_supported, ['code'])
})

await check('openid-client logs the citizen in, acting for her company', async () => {
  tokens = await login(app, config, browser, { choice: { kind: 'entity' } })
  same(browser.visited, ['/login', '/acting', '/consent'])
  equal(tokens.token_type, 'bearer')
  ok(tokens.access_token && tokens.refresh_token && tokens.expires_in > 0)
  const c = tokens.claims()
  equal(c.iss, base)
  ok(['urn:hufu:acr:l1', 'urn:hufu:acr:l2', 'urn:hufu:acr:l3', 'urn:hufu:acr:l4'].includes(c.acr))
  ok(c.amr.includes('pwd') && c.sid && c.at_hash && Math.abs(c.auth_time - Date.now() / 1000) < 60)
  equal(c.subject_kind, 'entity')
  equal(c.act_for.relation, 'legal_rep')
  equal(c.act_for.uscc.length, 18)
})

await check('jose verifies the id_token with the published keys, and refuses changed ones', async () => {
  const options = { issuer: base, audience: app.id, algorithms: ['RS256'] }
  const { payload, protectedHeader } = await jose.jwtVerify(tokens.id_token, jwks, options)
  equal(protectedHeader.alg, 'RS256')
  equal(payload.sub, tokens.claims().sub)
  const [head, body, signature] = tokens.id_token.split('.')
  const other = jose.base64url.encode(JSON.stringify({ ...payload, sub: 'somebody else' }))
  await rejects(jose.jwtVerify(`${head}.${other}.${signature}`, jwks, options), jose.errors.JWSSignatureVerificationFailed)
  await rejects(jose.jwtVerify(`${head}.${body}.`, jwks, options))
})

await check('the published keys are of RS256 and ES256, with distinct ids and without private parts', async () => {
  const { keys } = await (await fetch(`${base}/oauth2/jwks`)).json()
  same([...new Set(keys.map((k) => k.alg))].sort(), ['ES256', 'RS256'])
  equal(new Set(keys.map((k) => k.kid)).size, keys.length)
  for (const k of keys) ok(k.use === 'sig' && !('d' in k) && !('p' in k) && !('q' in k))
})

await check('userinfo gives what was agreed to', async () => {
  const info = await client.fetchUserInfo(config, tokens.access_token, tokens.claims().sub)
  equal(info.name, '王小雅')
  ok(info.phone_number.startsWith('+86') && info.phone_number_verified === true)
  equal(info.identity_number.length, 18)
  equal(info.act_for.uscc, tokens.claims().act_for.uscc)
})

await check('what the citizen unticks is not handed over', async () => {
  const t = await login(app, config, citizen(), { choice: { without: ['phone', 'identity'] }, prompt: 'consent' })
  ok(!t.scope.split(' ').includes('phone') && !t.scope.split(' ').includes('identity'))
  const info = await client.fetchUserInfo(config, t.access_token, t.claims().sub)
  ok(info.name && !('phone_number' in info) && !('identity_number' in info))
  equal(t.claims().subject_kind, 'person')
  ok(!('act_for' in t.claims()))
})

await check('the citizen says no: access_denied', async () => {
  for (const refuse of ['/acting', '/consent']) {
    const b = citizen()
    await refused(login(app, config, b, { choice: { refuse }, prompt: 'consent' }), 'access_denied')
    equal(b.visited.at(-1), refuse)
  }
})

await check('prompt=none: a session is enough, none is login_required', async () => {
  const { callback, checks } = await code(app, config, browser, { prompt: 'none' })
  same(browser.visited, [])
  equal((await client.authorizationCodeGrant(config, callback, checks)).claims().sub, tokens.claims().sub)
  await refused(login(app, config, citizen(), { prompt: 'none' }), 'login_required')
})

await check('max_age and prompt=login ask for the password again', async () => {
  await new Promise((r) => setTimeout(r, 1100))
  for (const extra of [{ prompt: 'login' }, { max_age: '0' }]) {
    const { callback, checks } = await code(app, config, browser, extra)
    ok(browser.visited.includes('/login'), `${JSON.stringify(extra)} showed ${browser.visited}`)
    const t = await client.authorizationCodeGrant(config, callback, { ...checks, maxAge: 60 })
    ok(t.claims().auth_time >= tokens.claims().auth_time)
  }
})

await check('refresh gives new tokens of the same log-in', async () => {
  const fresh = await client.refreshTokenGrant(config, tokens.refresh_token)
  ok(fresh.access_token !== tokens.access_token && fresh.refresh_token !== tokens.refresh_token)
  equal(fresh.claims().sub, tokens.claims().sub)
  equal(fresh.claims().auth_time, tokens.claims().auth_time)
  await alive(fresh.access_token)
  tokens.next = fresh
})

await check('a refresh token that comes again kills the family', async () => {
  await refused(client.refreshTokenGrant(config, tokens.refresh_token), 'invalid_grant')
  await refused(client.refreshTokenGrant(config, tokens.next.refresh_token), 'invalid_grant')
  await dead(tokens.next.access_token)
})

await check('revocation of a refresh token ends its grant, and is silent about unknown tokens', async () => {
  const t = await login(app, config, browser)
  await alive(t.access_token)
  await client.tokenRevocation(config, t.refresh_token)
  await dead(t.access_token)
  await refused(client.refreshTokenGrant(config, t.refresh_token), 'invalid_grant')
  await client.tokenRevocation(config, 'unknown')
})

await check('a confidential client: client_secret_basic, ES256, introspection, revocation', async () => {
  const t = await login(hall, hallConfig, browser, { choice: { kind: 'entity' } })
  equal((await jose.jwtVerify(t.id_token, jwks, { issuer: base, audience: hall.id })).protectedHeader.alg, 'ES256')
  const info = await client.tokenIntrospection(hallConfig, t.access_token)
  ok(info.active && info.client_id === hall.id && info.sub === t.claims().sub && info.scope === hall.scope)
  equal((await client.tokenIntrospection(hallConfig, 'unknown')).active, false)
  await client.tokenRevocation(hallConfig, t.access_token)
  same(await client.tokenIntrospection(hallConfig, t.access_token), { active: false })
})

await check('introspection tells nothing to a public client, nor of tokens of others', async () => {
  const t = await login(app, config, browser)
  await refused(client.tokenIntrospection(config, t.access_token), 'invalid_client')
  same(await client.tokenIntrospection(hallConfig, t.access_token), { active: false })
})

// Negative cases, by oauth4webapi, which sends what it is told to.
const as = config.serverMetadata()
const insecure = { [oauth.allowInsecureRequests]: true }
const exchange = async (a, callback, state, verifier, { redirect = a.redirect, secret = a.secret } = {}) => {
  const c = { client_id: a.id }
  const answer = await oauth.authorizationCodeGrantRequest(as, c, secret ? oauth.ClientSecretBasic(secret) : oauth.None(),
    oauth.validateAuthResponse(as, c, callback, state), redirect, verifier, insecure)
  return oauth.processAuthorizationCodeResponse(as, { ...c, id_token_signed_response_alg: a.secret ? 'ES256' : 'RS256' }, answer, { expectedNonce: oauth.skipNonceCheck ?? undefined })
}

await check('a wrong verifier is refused, and spends the code', async () => {
  const { callback, checks } = await code(app, config, browser)
  await refused(exchange(app, callback, checks.expectedState, oauth.generateRandomCodeVerifier()), 'invalid_grant')
  await refused(exchange(app, callback, checks.expectedState, checks.pkceCodeVerifier), 'invalid_grant')
})

await check('no verifier is refused', async () => {
  const { callback, checks } = await code(app, config, browser)
  await refused(exchange(app, callback, checks.expectedState, oauth.nopkce), 'invalid_grant', 'invalid_request')
})

await check('a code that comes again kills its tokens', async () => {
  const { callback, checks } = await code(app, config, browser)
  const t = await client.authorizationCodeGrant(config, callback, checks)
  await alive(t.access_token)
  await refused(exchange(app, callback, checks.expectedState, checks.pkceCodeVerifier), 'invalid_grant')
  await dead(t.access_token)
  await refused(client.refreshTokenGrant(config, t.refresh_token), 'invalid_grant')
})

await check('eight at once with one code: at most one gets tokens, and they die', async () => {
  const { callback, checks } = await code(app, config, browser)
  const all = await Promise.allSettled(Array.from({ length: 8 }, () => client.authorizationCodeGrant(config, callback, checks)))
  const won = all.filter((a) => a.status === 'fulfilled')
  ok(won.length <= 1, `${won.length} won`)
  for (const { reason } of all.filter((a) => a.reason)) equal(reason.error, 'invalid_grant', String(reason))
  for (const { value } of won) await dead(value.access_token)
})

await check('a code of another client, or with another redirect URI, is refused', async () => {
  let { callback, checks } = await code(app, config, browser)
  await refused(exchange(hall, callback, checks.expectedState, checks.pkceCodeVerifier, { redirect: app.redirect }), 'invalid_grant')
  ;({ callback, checks } = await code(app, config, browser))
  await refused(exchange(app, callback, checks.expectedState, checks.pkceCodeVerifier, { redirect: 'http://localhost:9/callback' }), 'invalid_grant')
})

await check('a wrong client secret is invalid_client', async () => {
  const { callback, checks } = await code(hall, hallConfig, browser)
  await refused(exchange(hall, callback, checks.expectedState, checks.pkceCodeVerifier, { secret: 'x'.repeat(52) }), 'invalid_client')
})

await check('an unregistered redirect URI or client gets a page, never a redirect', async () => {
  for (const extra of [
    { redirect_uri: 'https://evil.example/callback' }, { redirect_uri: app.redirect + '/..' }, { redirect_uri: app.redirect + '?x=1' },
    { redirect_uri: app.redirect + '#x' }, { client_id: 'nobody' },
  ]) {
    const { url } = await ask(app, config, extra)
    const page = await browser.get(url)
    ok(page.status >= 400 && page.status < 500 && !page.to, `${JSON.stringify(extra)}: status ${page.status}, to ${page.to}`)
    ok(page.headers.get('content-type').startsWith('text/html') && page.html.includes('<html'), page.html)
    ok(!/(href|action|src)="[a-z]*:?\/\/evil/.test(page.html), 'the page leads to the address that was refused')
  }
})

await check('no PKCE, PKCE plain, implicit and unknown scopes are refused by redirect, with iss and state', async () => {
  for (const [extra, ...codes] of [
    [{ code_challenge: '-', code_challenge_method: '-' }, 'invalid_request'],
    [{ code_challenge_method: 'plain' }, 'invalid_request'],
    [{ response_type: 'token' }, 'unsupported_response_type'],
    [{ response_type: 'id_token token' }, 'unsupported_response_type'],
    [{ scope: 'openid administrator' }, 'invalid_scope'],
    [{ request: 'eyJhbGciOiJub25lIn0.e30.' }, 'request_not_supported'],
    [{ request_uri: 'https://evil.example/request' }, 'request_uri_not_supported'],
  ]) {
    const { url, checks } = await ask(app, config, extra)
    const { callback } = await browser.walk(url, app.redirect)
    const q = callback.searchParams.size ? callback.searchParams : new URLSearchParams(callback.hash.slice(1))
    ok(codes.includes(q.get('error')), `${JSON.stringify(extra)}: ${callback}`)
    equal(q.get('state'), checks.expectedState)
    equal(q.get('iss'), base)
    ok(!q.has('code') && !q.has('access_token'))
  }
})

await check('the libraries refuse what is not theirs: state, iss, nonce', async () => {
  const { callback, checks } = await code(app, config, browser)
  await rejects(client.authorizationCodeGrant(config, callback, { ...checks, expectedState: 'other' }))
  const moved = new URL(callback)
  moved.searchParams.set('iss', 'https://evil.example')
  await rejects(client.authorizationCodeGrant(config, moved, checks))
  moved.searchParams.delete('iss')
  await rejects(client.authorizationCodeGrant(config, moved, checks), 'an answer without iss is taken: it is not announced')
  await rejects(client.authorizationCodeGrant(config, callback, { ...checks, expectedNonce: 'other' }))
})

await check('an access token belongs into the header', async () => {
  const t = await login(app, config, browser)
  const inURL = await fetch(`${base}/oauth2/userinfo?access_token=${encodeURIComponent(t.access_token)}`)
  ok(inURL.status >= 400 && inURL.status < 500, `status ${inURL.status}`)
  const garbage = await userinfo('garbage')
  equal(garbage.status, 401)
  ok(garbage.headers.get('www-authenticate')?.includes('invalid_token'))
  equal((await userinfo(t.id_token)).status, 401, 'an id_token is no access token')
  equal((await userinfo(t.refresh_token)).status, 401, 'a refresh token is no access token')
})

await check('a log-in belongs to the browser that began it', async () => {
  const { url } = await ask(app, config)
  const first = await citizen().get(url)
  equal(first.to.pathname, '/login')
  const elsewhere = await citizen().get(first.to)
  ok(elsewhere.status >= 400 && elsewhere.status < 500 && !elsewhere.html.includes('name="password"'), `status ${elsewhere.status}`)
})

await check('a wrong password gives no session, and does not tell whether the account exists', async () => {
  const texts = []
  for (const account of ['sunjing', 'nobody-of-that-name']) {
    const b = new Browser(account, 'not the password')
    const { url } = await ask(app, config)
    const { page } = await b.walk(url, app.redirect)
    equal(page.status, 422)
    texts.push(page.html.match(/class="fault"[^>]*>([^<]+)/)[1])
    await refused(login(app, config, b, { prompt: 'none' }), 'login_required')
  }
  equal(texts[0], texts[1])
})

await check('log-out ends the session and its tokens; offline access goes on', async () => {
  const offline = await login(app, config, browser)
  const online = await login(hall, hallConfig, browser)
  await alive(online.access_token)
  const end = client.buildEndSessionUrl(hallConfig, { id_token_hint: online.id_token, post_logout_redirect_uri: `${base}/sample/` })
  const foreign = new URL(end)
  foreign.searchParams.set('post_logout_redirect_uri', 'https://evil.example/')
  const stays = await browser.get(foreign)
  ok(!stays.to && stays.status >= 400, `status ${stays.status}, to ${stays.to}`)
  await alive(online.access_token)
  const { callback } = await browser.walk(end, `${base}/sample/`)
  equal(callback.href, `${base}/sample/`)
  await dead(online.access_token)
  await alive(offline.access_token)
  ok((await client.refreshTokenGrant(config, offline.refresh_token)).access_token)
  await refused(login(app, config, browser, { prompt: 'none' }), 'login_required')
})

await check('the sample service hall logs the citizen in over HTTP', async () => {
  const b = citizen()
  const { page } = await b.walk(`${base}/sample/login?story=clients`, 'nowhere:', { kind: 'entity' })
  equal(page.status, 200)
  equal(new URL(page.url).pathname, '/sample/')
  ok(page.html.includes('王小雅') && /[0-9A-HJ-NPQRTUWXY]{18}/.test(page.html))
})

console.log(`${passed} passed, ${failed} failed`)
process.exit(failed ? 1 : 0)
