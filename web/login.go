package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"hufu/identity/login"
	"hufu/internal/fault"
	"hufu/oidc"
)

// loginView is the log-in page.
type loginView struct {
	frame
	Destination *destination // nil for a log-in to these pages themselves
	Action      string       // where the form goes
	Tab         string       // "person", "entity", "official": which explanation is shown
	Tabs        []tab
	Again       bool // a session exists, but the application wants a fresh log-in
	Account     string
	Password    string // of a sample account only
	Samples     []sampleView
}

type tab struct {
	Label, URL string
	Current    bool
}

type sampleView struct {
	Account, Password, Name, Who, Fill string
}

// showLogin shows the log-in page: for an application (?i=) or for these pages (?next=). A browser that has what is
// asked for is sent on at once.
func (s *Site) showLogin(w http.ResponseWriter, r *http.Request) {
	var v visit
	if r.URL.Query().Has("i") {
		var ok bool
		if v, ok = s.visit(w, r); !ok {
			return
		}
	} else if session, err := s.session(r); err != nil {
		s.fail(w, r, err)
		return
	} else {
		v.session = session
	}
	if s.sendOn(w, r, v) {
		return
	}
	s.show(w, r, "login", s.loginView(r, v))
}

// sendOn sends a browser on whose session does, and reports whether it did.
func (s *Site) sendOn(w http.ResponseWriter, r *http.Request, v visit) bool {
	switch {
	case v.session == nil, v.ID != "" && v.NeedsFresh && !v.session.MustChange:
		return false
	case v.session.MustChange:
		seeOther(w, passwordPath+query(r))
	case v.ID != "":
		s.decide(w, r, v.ID, oidc.Decision{Session: v.session})
	default:
		seeOther(w, onward(r))
	}
	return true
}

// onward is where a log-in without an application leads to.
func onward(r *http.Request) string {
	if next := localPath(r.FormValue("next")); next != "" {
		return next
	}
	return "/account"
}

// query is what the pages of one log-in hand to each other in the address.
func query(r *http.Request) string {
	q := url.Values{}
	if i := r.FormValue("i"); i != "" {
		q.Set("i", i)
	} else if next := localPath(r.FormValue("next")); next != "" {
		q.Set("next", next)
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

func (s *Site) loginView(r *http.Request, v visit) *loginView {
	page := &loginView{frame: s.frame(r, fault.Text{ZH: "登录", EN: "Log in"}, v.Locales...), Action: "/login" + query(r)}
	page.origin = v.RedirectOrigin
	if v.ID != "" {
		page.Destination = page.destination(v.Interaction)
		page.Account = v.LoginHint
		page.Again = v.NeedsFresh
	}
	if account := r.PostForm.Get("account"); account != "" {
		page.Account = account
	}
	page.Tab = r.URL.Query().Get("as")
	for _, t := range []struct {
		as   string
		name fault.Text
	}{
		{"person", fault.Text{ZH: "个人", EN: "Person"}},
		{"entity", fault.Text{ZH: "法人", EN: "Organisation"}},
		{"official", fault.Text{ZH: "公务人员", EN: "Official"}},
	} {
		current := page.Tab == t.as || t.as == "person" && page.Tab != "entity" && page.Tab != "official"
		page.Tabs = append(page.Tabs, tab{page.Say(t.name), with("/login"+query(r), "as", t.as), current})
	}
	for _, sample := range s.Samples {
		fill := with("/login"+query(r), "fill", sample.Account)
		page.Samples = append(page.Samples, sampleView{sample.Account, sample.Password, sample.Name, page.Say(sample.Who), fill + "#account"})
		if r.Method != http.MethodPost && r.URL.Query().Get("fill") == sample.Account {
			page.Account, page.Password = sample.Account, sample.Password
		}
	}
	return page
}

// with adds a parameter to an address.
func with(address, name, value string) string {
	joint := "?"
	if strings.Contains(address, "?") {
		joint = "&"
	}
	return address + joint + url.Values{name: {value}}.Encode()
}

// doLogin takes account and password.
func (s *Site) doLogin(w http.ResponseWriter, r *http.Request) {
	var v visit
	if r.FormValue("i") != "" {
		var ok bool
		if v, ok = s.visit(w, r); !ok {
			return
		}
	}
	account, password := strings.TrimSpace(r.PostForm.Get("account")), r.PostForm.Get("password")
	if account == "" || password == "" {
		page := s.loginView(r, v)
		if account == "" {
			page.blame(http.StatusUnprocessableEntity, "account", page.T("请输入账号。", "Enter your account."))
		}
		if password == "" {
			page.blame(http.StatusUnprocessableEntity, "password", page.T("请输入密码。", "Enter your password."))
		}
		s.show(w, r, "login", page)
		return
	}
	session, secret, err := s.Logins.Login(r.Context(), login.Attempt{
		Account: account, Password: password, RemoteIP: s.RemoteIP(r), UserAgent: agent(r), Replaces: s.secret(r),
	})
	if err != nil {
		s.refuseLogin(w, r, v, err)
		return
	}
	s.setSecret(w, secret)
	switch {
	case session.MustChange:
		seeOther(w, passwordPath+query(r))
	case v.ID != "":
		s.decide(w, r, v.ID, oidc.Decision{Session: &session})
	default:
		seeOther(w, onward(r))
	}
}

// refuseLogin shows the form again with the reason.
func (s *Site) refuseLogin(w http.ResponseWriter, r *http.Request, v visit, err error) {
	page := s.loginView(r, v)
	text, ok := s.say(r.Context(), page.Lang, err)
	if !ok {
		s.fail(w, r, err)
		return
	}
	status := statuses[fault.KindOf(err)]
	if errors.Is(err, login.ErrWrong) {
		status = http.StatusUnprocessableEntity
	}
	if seconds, ok := s.retryAfter(err); ok {
		w.Header().Set("Retry-After", fmt.Sprint(seconds))
		text = page.T("尝试次数过多。", "Too many tries. ") + page.wait(seconds)
	}
	page.blame(status, "account", text)
	s.show(w, r, "login", page)
}

// wait says when to try again.
func (f frame) wait(seconds int) string {
	if seconds < 90 {
		return f.T(fmt.Sprintf("请等待 %d 秒后再试。", seconds), fmt.Sprintf("Wait %d seconds, then try again.", seconds))
	}
	minutes := (seconds + 59) / 60
	return f.T(fmt.Sprintf("请等待约 %d 分钟后再试。", minutes), fmt.Sprintf("Wait about %d minutes, then try again.", minutes))
}
