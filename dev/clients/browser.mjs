// A person at a browser, played with fetch: a cookie jar, forms found in the pages, redirects followed one by one.

const entities = { amp: '&', lt: '<', gt: '>', quot: '"', '#34': '"', '#39': "'", '#43': '+' }
const decode = (text) => text.replace(/&(#?\w+);/g, (whole, name) => entities[name] ?? whole)

// attributes of all elements of a kind, in order
function elements(html, tag) {
  return [...html.matchAll(new RegExp(`<${tag}\\b([^>]*)>`, 'g'))].map(([, text]) =>
    Object.fromEntries([...text.matchAll(/([\w-]+)(?:="([^"]*)")?/g)].map(([, name, value]) => [name, decode(value ?? '')])))
}

// the form that the person fills in: the one that posts to the page's own path
function form(page) {
  for (const [whole, head] of page.html.matchAll(/<form\b([^>]*)>[\s\S]*?<\/form>/g)) {
    const [attributes] = elements(`<form ${head}>`, 'form')
    const action = new URL(attributes.action ?? page.url, page.url)
    if (attributes.method === 'post' && action.pathname === new URL(page.url).pathname) {
      return { action, inputs: elements(whole, 'input'), buttons: elements(whole, 'button') }
    }
  }
  throw new Error(`no form on ${page.url} (status ${page.status})`)
}

export class Browser {
  #cookies = new Map() // name → {value, path}
  visited = [] // paths of the pages that were shown

  constructor(account, password) {
    Object.assign(this, { account, password })
  }

  async #fetch(url, init = {}) {
    const { pathname } = new URL(url)
    const sent = [...this.#cookies].filter(([, c]) => pathname === c.path || pathname.startsWith(c.path.replace(/\/?$/, '/')))
    const headers = { accept: 'text/html', cookie: sent.map(([name, c]) => `${name}=${c.value}`).join('; '), ...init.headers }
    const answer = await fetch(url, { redirect: 'manual', ...init, headers })
    for (const line of answer.headers.getSetCookie?.() ?? splitCookies(answer.headers.get('set-cookie'))) {
      const [pair, ...rest] = line.split(';').map((s) => s.trim())
      const at = pair.indexOf('=')
      const found = (name) => rest.find((s) => s.toLowerCase().startsWith(name))?.slice(name.length)
      if (found('max-age=') === '0' || pair.length === at + 1) this.#cookies.delete(pair.slice(0, at))
      else this.#cookies.set(pair.slice(0, at), { value: pair.slice(at + 1), path: found('path=') ?? '/' })
    }
    const location = answer.headers.get('location')
    return { url: String(url), status: answer.status, headers: answer.headers, to: location && new URL(location, url), html: await answer.text() }
  }

  get(url) {
    return this.#fetch(url)
  }

  post(url, fields) {
    return this.#fetch(url, {
      method: 'POST', body: new URLSearchParams(fields).toString(), headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
  }

  // walk follows an address through log-in, acting and consent pages. It returns {callback} when it would leave for an
  // address that begins with end, or {page} when it stands on a page that asks nothing of the person. choice: kind of the
  // capacity ("person" if not given), without: scopes to untick, refuse: the page on which to say no.
  async walk(start, end, choice = {}) {
    this.visited = []
    let page = await this.get(start)
    for (let step = 0; step < 16; step++) {
      if (page.to) {
        if (page.to.href.startsWith(end)) return { callback: page.to }
        page = await this.get(page.to)
        continue
      }
      const { pathname } = new URL(page.url)
      this.visited.push(pathname)
      if (page.status !== 200 || !(pathname in this.#pages)) return { page }
      const f = form(page)
      const fields = this.#pages[pathname](f, choice)
      page = await this.post(f.action, [...f.inputs.filter((i) => i.type === 'hidden').map((i) => [i.name, i.value]), ...fields])
    }
    throw new Error(`${start} leads round and round`)
  }

  #pages = {
    '/login': () => [['account', this.account], ['password', this.password]],
    '/acting': (f, { kind = 'person', refuse }) => {
      if (refuse === '/acting') return [['refuse', 'yes']]
      const button = f.buttons.find((b) => b.name === 'as' && b.value.startsWith(kind + ':'))
      if (!button) throw new Error(`nothing to act as ${kind}`)
      return [['as', button.value]]
    },
    '/consent': (f, { without = [], refuse }) => [
      ['answer', refuse === '/consent' ? 'refuse' : 'allow'],
      ...f.inputs.filter((i) => i.name === 'scope' && !without.includes(i.value)).map((i) => ['scope', i.value]),
    ],
  }
}

// Node 18 before 18.14 has no getSetCookie; a comma that is followed by name= begins the next cookie.
const splitCookies = (line) => (line ? line.split(/,(?=\s*[\w-]+=)/) : [])
