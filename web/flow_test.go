package web_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"hufu/identity/login"
	"hufu/internal/actor"
)

// TestFromLoginToCode goes the whole way: log-in, whom to act for, consent, and back to the application.
func TestFromLoginToCode(t *testing.T) {
	each(t, nil, func(w *world) {
		b := w.browser()
		p := b.authorize("scope", "openid profile phone identity entity")
		w.goes(p, "/login?i=")
		form := b.get(p.location)
		w.shows(form, http.StatusOK, "示例市网上办事大厅", "https://rp.example", "个人", "法人", "公务人员")
		for _, want := range []string{"form-action 'self' https://rp.example;", "default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} {
			if csp := form.header.Get("Content-Security-Policy"); !strings.Contains(csp, want) {
				w.Errorf("policy %q lacks %q", csp, want)
			}
		}
		p = b.post(form.action(w), "account", "zhangsan", "password", password)
		w.goes(p, "/acting?i=")
		if c := p.header.Get("Set-Cookie"); !strings.HasPrefix(c, "hufu=") || !strings.Contains(c, "HttpOnly") || !strings.Contains(c, "SameSite=Lax") {
			w.Errorf("cookie %q", c)
		}
		form = b.get(p.location)
		w.shows(form, http.StatusOK, "为本人办事", "杭州示例科技有限公司", "法定代表人", uscc, "示例市市场监督管理局", "科员")
		w.shows(b.post(form.action(w)), http.StatusUnprocessableEntity, "请选择一个办事身份。")
		p = b.post(form.action(w), "as", "entity:"+w.company+":")
		w.goes(p, "/consent?i=")
		form = b.get(p.location)
		w.shows(form, http.StatusOK, "杭州示例科技有限公司", "您的姓名", "张三", "138****0011", "敏感信息", "110101********0011")
		if strings.Contains(form.body, number) || strings.Contains(form.body, "13800000011") {
			w.Error("the page shows a number in clear")
		}
		if !strings.Contains(form.body, `value="profile" checked`) || strings.Contains(form.body, `value="identity" checked`) {
			w.Error("a sensitive scope needs a tick of its own, the others have one")
		}
		p = b.post(form.action(w), "answer", "allow", "scope", "profile", "scope", "entity")
		w.goes(p, callback+"?")
		if q := must(url.Parse(p.location)).Query(); q.Get("code") == "" || q.Get("state") != "s" {
			w.Errorf("sent back with %v", q)
		}
		w.shows(b.get(strings.Replace(form.action(w), "/consent", "/login", 1)), http.StatusNotFound, "本次登录已过期、已完成")

		// A session that does is sent on without a form, until the person takes the consent back.
		w.goes(b.authorize("scope", "openid profile"), callback+"?")
		w.shows(b.get("/account"), http.StatusOK, "已授权的应用", "示例市网上办事大厅", "您的姓名")
		w.goes(b.post("/account/withdraw", "client", "portal"), "/account?note=withdrawn")
		w.goes(b.authorize("scope", "openid profile"), "/consent?i=")
		w.shows(b.post("/account/withdraw"), http.StatusBadRequest, "无法读取提交的表单")
	})
}

func TestRefusalsGoBackToTheApplication(t *testing.T) {
	each(t, nil, func(w *world) {
		b := w.browser()
		b.login()
		p := b.authorize("scope", "openid profile entity")
		w.goes(p, "/acting?i=")
		w.goes(b.post(b.get(p.location).action(w), "refuse", "yes"), callback+"?error=access_denied")
		p = b.authorize("scope", "openid profile")
		w.goes(p, "/consent?i=")
		form := b.get(p.location)
		w.shows(b.post(form.action(w)), http.StatusBadRequest, "无法读取提交的表单")
		w.shows(b.post(form.action(w), "answer", "allow", "scope", "identity"), http.StatusBadRequest, "授权内容超出应用申请的范围")
		w.goes(b.post(form.action(w), "answer", "refuse"), callback+"?error=access_denied")
	})
}

// TestPagesOfAnotherStepLeadToTheRightOne: nobody can skip a step by its address, and a capacity of others is refused.
func TestPagesOfAnotherStepLeadToTheRightOne(t *testing.T) {
	each(t, nil, func(w *world) {
		b := w.browser()
		i := must(url.Parse(b.authorize("scope", "openid profile entity").location)).Query().Get("i")
		w.goes(b.get("/consent?i="+i), "/login?i=")
		w.goes(b.get("/acting?i="+i), "/login?i=")
		w.goes(b.post("/consent?i="+i, "answer", "allow", "scope", "profile"), "/login?i=")
		w.goes(b.post("/acting?i="+i, "as", "person::"), "/login?i=")
		b.login()
		w.goes(b.get("/login?i="+i), "/acting?i=")
		w.goes(b.get("/consent?i="+i), "/acting?i=")
		w.goes(b.post("/consent?i="+i, "answer", "allow", "scope", "profile"), "/acting?i=")
		w.shows(b.post("/acting?i="+i, "as", "entity:somebody-elses:"), http.StatusForbidden, "您不能（或已不能）以该身份办理")
		w.goes(b.post("/acting?i="+i, "as", "person::"), "/consent?i=")
	})
}

func TestUnknownInteraction(t *testing.T) {
	each(t, nil, func(w *world) {
		mine, other := w.browser(), w.browser()
		i := must(url.Parse(mine.authorize().location)).Query().Get("i")
		other.authorize() // has a browser secret of its own
		for _, b := range []*browser{other, w.browser()} {
			for _, path := range []string{"/login", "/acting", "/consent"} {
				w.shows(b.get(path+"?i="+i), http.StatusNotFound, "请返回应用重新登录")
				w.shows(b.post(path+"?i="+i, "account", "zhangsan", "password", password), http.StatusNotFound, "请返回应用重新登录")
			}
		}
		for _, bad := range []string{"unknown", "%00", strings.Repeat("x", 5000), "", "%22%3E%3Cscript%3E"} {
			w.shows(mine.get("/login?i="+bad), http.StatusNotFound, "请返回应用重新登录")
		}
		w.pass(11 * time.Minute)
		w.shows(mine.get("/login?i="+i), http.StatusNotFound, "请返回应用重新登录")
	})
}

func TestWrongPasswordAndWaiting(t *testing.T) {
	each(t, nil, func(w *world) {
		b := w.browser()
		p := b.post("/login", "account", "zhangsan", "password", "wrong horse 9")
		w.shows(p, http.StatusUnprocessableEntity, "错误：登录", "账号或密码不正确", "请先处理下面的问题")
		if !strings.Contains(p.body, `value="zhangsan"`) || strings.Contains(p.body, "wrong horse") {
			w.Error("the form must keep the account and never the password")
		}
		if !strings.Contains(p.body, `role="alert" tabindex="-1" autofocus`) || !strings.Contains(p.body, `href="#account"`) {
			w.Error("the summary is not focused or leads nowhere")
		}
		w.shows(b.post("/login", "account", " ", "password", ""), http.StatusUnprocessableEntity, "请输入账号。", "请输入密码。")
		for range 20 {
			if p = b.post("/login", "account", "zhangsan", "password", "wrong horse 9"); p.status == http.StatusTooManyRequests {
				break
			}
		}
		w.shows(p, http.StatusTooManyRequests, "尝试次数过多", "秒后再试")
		if p.header.Get("Retry-After") == "" {
			w.Error("no Retry-After")
		}
	})
}

// TestAFirstPasswordIsChangedBeforeAnythingElse follows a person whose password an officer has set.
func TestAFirstPasswordIsChangedBeforeAnythingElse(t *testing.T) {
	each(t, nil, func(w *world) {
		super := actor.Actor{Subject: "super", Capacity: actor.Official, Roles: []actor.Role{actor.RoleSuperAdmin}}
		w.must(w.logins.ResetPassword(w.Context(), super, w.zhang, "initial words 1"))
		b := w.browser()
		form := b.get(b.authorize().location)
		p := b.post(form.action(w), "account", "zhangsan", "password", "initial words 1")
		w.goes(p, "/account/password?i=")
		w.goes(b.get("/account"), "/account/password")
		w.goes(b.get(form.action(w)), "/account/password?i=")
		form = b.get(p.location)
		w.shows(form, http.StatusOK, "请设置您自己的密码")
		if csp := form.header.Get("Content-Security-Policy"); !strings.Contains(csp, "form-action 'self' https://rp.example;") {
			w.Errorf("the form ends at the application, but the policy is %q", csp)
		}
		w.shows(b.post(form.action(w), "old", "initial words 1", "new", "12345", "again", "12345"), http.StatusUnprocessableEntity, "密码过短")
		w.shows(b.post(form.action(w), "old", "wrong", "new", "other words 22", "again", "other words 22"), http.StatusUnprocessableEntity, "当前密码不正确")
		w.shows(b.post(form.action(w), "old", "", "new", "other words 22", "again", "other words 23"), http.StatusUnprocessableEntity, "请输入当前密码。", "两次输入的新密码不一致")
		p = b.post(form.action(w), "old", "initial words 1", "new", "other words 22", "again", "other words 22")
		w.goes(p, "/login?i=")
		w.goes(b.get(p.location), "/consent?i=")
	})
}

func TestAFreshLoginIsAskedFor(t *testing.T) {
	each(t, nil, func(w *world) {
		b := w.browser()
		b.login()
		w.pass(time.Second)
		p := b.authorize("prompt", "login", "login_hint", "zhangsan")
		w.goes(p, "/login?i=")
		form := b.get(p.location)
		w.shows(form, http.StatusOK, "该应用要求您再次输入密码")
		if !strings.Contains(form.body, `value="zhangsan"`) {
			w.Error("login_hint is not filled in")
		}
		w.goes(b.post(form.action(w), "account", "zhangsan", "password", password), "/consent?i=")
	})
}

func TestAccount(t *testing.T) {
	each(t, nil, func(w *world) {
		b, other := w.browser(), w.browser()
		w.goes(b.get("/account"), "/login?next=%2Faccount")
		b.headers.Set("User-Agent", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36")
		other.headers.Set("User-Agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Version/17.0 Mobile Safari/604.1")
		b.login()
		other.login()
		p := b.get("/account")
		w.shows(p, http.StatusOK, "张三", "110101********0011", "138****0011", "三级：已实人", "Chrome，Windows", "当前设备", "Safari，iPhone",
			"杭州示例科技有限公司", "科员", "身份登记", "登录", "127.0.0.1")
		if p.header.Get("Cache-Control") != "no-store" || p.header.Get("Referrer-Policy") != "no-referrer" {
			w.Errorf("headers %v", p.header)
		}
		w.goes(b.post("/account/sessions/end-others"), "/account?note=others")
		w.shows(b.get("/account?note=others"), http.StatusOK, "其他设备上的登录已全部结束。")
		w.goes(other.get("/account"), "/login?next=")

		w.pass(time.Second) // so that the list, newest first, begins with it
		other.login()
		list, err := w.logins.List(w.Context(), system, w.zhang)
		w.must(err)
		stranger := w.stranger()
		for _, s := range list {
			w.shows(stranger.post("/account/sessions/end", "id", s.ID), http.StatusForbidden, "您只能查看和结束本人的登录会话")
		}
		w.goes(b.post("/account/sessions/end", "id", list[0].ID), "/account?note=ended")
		w.goes(other.get("/account"), "/login?next=")
		w.goes(b.post("/account/password", "old", password, "new", "other words 22", "again", "other words 22"), "/account?note=password")
		list, err = w.logins.List(w.Context(), system, w.zhang)
		w.must(err)
		w.goes(b.post("/account/sessions/end", "id", list[0].ID), "/signedout")
		w.goes(b.get("/account"), "/login?next=")
	})
}

// stranger is another person's browser, logged in.
func (w *world) stranger() *browser {
	w.Helper()
	_, err := w.logins.Enrol(w.Context(), system, login.Enrolment{Person: person("李四", "11010119900307002X"), Account: "lisi", Password: password})
	w.must(err)
	b := w.browser()
	w.goes(b.post("/login", "account", "lisi", "password", password), "/account")
	return b
}

func TestLogout(t *testing.T) {
	each(t, nil, func(w *world) {
		b := w.browser()
		w.goes(b.get("/logout"), "/signedout") // a session that is lost already counts as ended
		b.login()
		w.shows(b.get("/logout"), http.StatusOK, "张三", "退出登录")
		w.shows(b.get("/oauth2/logout"), http.StatusOK, "张三", "退出登录") // nothing proves who asks
		w.shows(b.get("/account"), http.StatusOK)
		p := b.post("/logout")
		w.goes(p, "/signedout")
		if c := p.header.Get("Set-Cookie"); !strings.HasPrefix(c, "hufu=;") || !strings.Contains(c, "Max-Age=0") {
			w.Errorf("cookie %q", c)
		}
		w.shows(b.get(p.location), http.StatusOK, "您已退出登录")
		w.shows(b.get("/oauth2/logout"), http.StatusOK, "您已退出登录")
		w.goes(b.get("/account"), "/login?next=")
	})
}

func TestAnExpiredSessionLogsInAgain(t *testing.T) {
	each(t, nil, func(w *world) {
		b := w.browser()
		b.login()
		w.pass(31 * time.Minute)
		w.goes(b.get("/account"), "/login?next=%2Faccount")
		w.goes(b.post("/account/sessions/end-others"), "/login?next=%2Faccount")
		p := b.post("/login?next=%2Faccount%2Fpassword", "account", "zhangsan", "password", password)
		w.goes(p, "/account/password")
		w.goes(b.get("/login?next=/account/password"), "/account/password")
	})
}
