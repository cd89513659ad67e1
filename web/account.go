package web

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"hufu/ca"
	"hufu/certs"
	"hufu/identity"
	"hufu/identity/login"
	"hufu/internal/actor"
	"hufu/internal/fault"
)

// accountView is what a person sees about itself.
type accountView struct {
	frame
	Person       string
	Level        int
	LevelWord    string
	Phone        string
	Numbers      []numberView
	Capacities   []capacityView
	Sessions     []sessionView
	Certificates []certificateView
	HasCerts     bool
	Applications []applicationView
	Activity     []activityView
	HasActivity  bool
}

type numberView struct{ Label, Number string }

type sessionView struct {
	ID, Device, IP string
	Began, Seen    string
	Current        bool
}

type certificateView struct {
	Name, Profile, Serial, Issuer string
	From, Until                   string
	State                         verdict
}

type applicationView struct{ Client, Name, What, Since string }

type activityView struct{ At, What, Code string }

// recentActivity is how many entries of the record the page shows.
const recentActivity = 12

var notes = map[string]fault.Text{
	"password":       {ZH: "密码已修改，其他设备上的登录已全部结束。", EN: "The password was changed, and your other sessions have ended."},
	"withdrawn":      {ZH: "已撤回对该应用的授权。", EN: "The application may not use your data any more."},
	"ended":          {ZH: "该设备上的登录已结束。", EN: "That session has ended."},
	"seal-made":      {ZH: "印章已制作完成。只有持口令的所有者能够启用它。", EN: "The seal is made. Nobody but its owner, with the PIN, can set it to work."},
	"seal-pin":       {ZH: "印章口令已设置，此前的常设激活已全部终止。", EN: "The PIN is set, and all standing activations from before have ended."},
	"seal-activated": {ZH: "常设激活已生效。", EN: "The standing activation is in force."},
	"seal-withdrawn": {ZH: "常设激活已撤回，立即失效。", EN: "The standing activation is withdrawn and has ended."},
	"others":         {ZH: "其他设备上的登录已全部结束。", EN: "Your other sessions have ended."},
}

func (s *Site) showAccount(w http.ResponseWriter, r *http.Request) {
	session, ok := s.member(w, r)
	if !ok {
		return
	}
	v := &accountView{frame: s.frame(r, fault.Text{ZH: "我的账户", EN: "My account"}), Person: session.Name}
	v.Wide = true
	if note, ok := notes[r.URL.Query().Get("note")]; ok {
		v.Note = v.Say(note)
	}
	for _, fill := range []func(*http.Request, *login.Session, *accountView) error{
		s.fillPerson, s.fillSessions, s.fillApplications, s.fillCertificates, s.fillActivity,
	} {
		if err := fill(r, session, v); err != nil {
			s.fail(w, r, err)
			return
		}
	}
	s.show(w, r, "account", v)
}

func (s *Site) fillPerson(r *http.Request, session *login.Session, v *accountView) error {
	p, err := s.People.Profile(r.Context(), session.Subject)
	if err != nil {
		return err
	}
	capacities, err := s.People.Capacities(r.Context(), session.Subject)
	if err != nil {
		return err
	}
	v.Person, v.Level, v.LevelWord = p.Name, int(p.Level), v.level(int(p.Level))
	if p.Phone != "" {
		v.Phone = p.Phone.String()
	}
	for _, id := range p.Identifiers {
		v.Numbers = append(v.Numbers, numberView{v.identifier(id.Type), id.Number.String()})
	}
	for _, c := range capacities {
		v.Capacities = append(v.Capacities, v.capacity(c))
	}
	return nil
}

func (f frame) level(level int) string {
	words := []fault.Text{
		{ZH: "未核实", EN: "not verified"},
		{ZH: "一级：已核实手机号", EN: "level 1: telephone verified"},
		{ZH: "二级：已实名", EN: "level 2: name and number verified"},
		{ZH: "三级：已实人", EN: "level 3: person verified"},
		{ZH: "四级：已现场核验", EN: "level 4: seen in person"},
	}
	if level < 0 || level >= len(words) {
		level = 0
	}
	return f.Say(words[level])
}

func (f frame) identifier(t identity.IdentifierType) string {
	switch t {
	case identity.ResidentID:
		return f.T("居民身份证", "Resident identity card")
	case identity.Passport:
		return f.T("护照", "Passport")
	case identity.HKMacaoPermit:
		return f.T("港澳居民来往内地通行证", "Mainland travel permit (Hong Kong, Macao)")
	case identity.TaiwanPermit:
		return f.T("台湾居民来往大陆通行证", "Mainland travel permit (Taiwan)")
	case identity.MilitaryID:
		return f.T("军官证", "Officer's card")
	}
	return f.T("证件", "Document")
}

func (s *Site) fillSessions(r *http.Request, session *login.Session, v *accountView) error {
	list, err := s.Logins.List(r.Context(), session.Actor(), session.Subject)
	for _, one := range list {
		v.Sessions = append(v.Sessions, sessionView{
			ID: one.ID, Device: v.device(one.UserAgent), IP: one.RemoteIP,
			Began: v.Time(one.Created), Seen: v.Time(one.Seen), Current: one.ID == session.ID,
		})
	}
	return err
}

// device names a browser and its system in words that people know. What it cannot name it shows as sent.
func (f frame) device(agent string) string {
	find := func(pairs ...string) string {
		for i := 0; i < len(pairs); i += 2 {
			if strings.Contains(agent, pairs[i]) {
				return pairs[i+1]
			}
		}
		return ""
	}
	browser := find("MicroMessenger", f.T("微信", "WeChat"), "DingTalk", f.T("钉钉", "DingTalk"), "Edg", "Edge", "OPR/", "Opera",
		"Firefox", "Firefox", "Chrome", "Chrome", "Safari", "Safari", "curl", "curl")
	system := find("HarmonyOS", "HarmonyOS", "Android", "Android", "iPhone", "iPhone", "iPad", "iPad", "Windows", "Windows",
		"Mac OS", "macOS", "Linux", "Linux")
	switch {
	case browser == "" && agent == "":
		return f.T("未知设备", "Unknown device")
	case browser == "":
		return agent
	case system == "":
		return browser
	}
	return fmt.Sprintf(f.T("%s，%s", "%s on %s"), browser, system)
}

// fillApplications shows which applications the person is logged in to, each once.
func (s *Site) fillApplications(r *http.Request, session *login.Session, v *accountView) error {
	if s.provider == nil {
		return nil
	}
	grants, err := s.provider.Grants(r.Context(), session.Actor())
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, g := range grants {
		if seen[g.Client] {
			continue
		}
		seen[g.Client] = true
		// The name of an application that the person is logged in to is no secret to that person.
		client, err := s.provider.Client(r.Context(), actor.ForSystem("account-page"), g.Client)
		if err != nil {
			return err
		}
		one := applicationView{Client: g.Client, Name: v.clientName(client), Since: v.Time(g.Created)}
		var words []string
		for _, scope := range g.Scopes {
			words = append(words, v.scope(scope, identity.Profile{}).Label)
		}
		one.What = strings.Join(words, v.T("、", ", "))
		v.Applications = append(v.Applications, one)
	}
	return nil
}

func (s *Site) fillCertificates(r *http.Request, session *login.Session, v *accountView) error {
	if s.Certificates == nil {
		return nil
	}
	v.HasCerts = true
	records, err := s.Certificates.Certificates(r.Context(), session.Actor(), ca.CertificateFilter{Holder: session.Subject, Limit: 20})
	if err != nil {
		return err
	}
	for _, c := range records {
		_, revoked, err := s.Certificates.Revoked(r.Context(), c.Issuer, c.Serial)
		if err != nil {
			return err
		}
		v.Certificates = append(v.Certificates, v.certificate(c, revoked, s))
	}
	return nil
}

func (f frame) certificate(c ca.Record, revoked bool, s *Site) certificateView {
	view := certificateView{
		Name: c.Profile, Profile: f.profile(c.Profile), Serial: fmt.Sprintf("%X", c.Serial), Issuer: c.Issuer, From: f.Date(c.NotBefore), Until: f.Date(c.NotAfter),
		State: verdict{"yes", "icon-yes", f.T("有效", "Valid")},
	}
	if parsed, err := certs.Parse(c.DER); err == nil {
		view.Name, view.Issuer = parsed.Subject.CommonName(), parsed.Issuer.CommonName()
	}
	switch now := s.Now(); {
	case revoked:
		view.State = verdict{"no", "icon-no", f.T("已吊销", "Revoked")}
	case now.After(c.NotAfter):
		view.State = verdict{"unsure", "icon-unsure", f.T("已过期", "Expired")}
	case now.Before(c.NotBefore):
		view.State = verdict{"unsure", "icon-unsure", f.T("未生效", "Not yet valid")}
	}
	return view
}

// profile names the common kinds of certificate; others show the profile's own name.
func (f frame) profile(name string) string {
	switch name {
	case "person-sign", "official-sign", "entity-sign":
		return f.T("签名证书", "For signing")
	case "person-enc", "official-enc", "entity-enc":
		return f.T("加密证书", "For encryption")
	}
	return name
}

// doEndSession ends one session; the current one means to log out.
func (s *Site) doEndSession(w http.ResponseWriter, r *http.Request) {
	session, ok := s.member(w, r)
	if !ok {
		return
	}
	id := r.PostForm.Get("id")
	if id == session.ID {
		s.doLogout(w, r)
		return
	}
	if err := s.Logins.End(r.Context(), session.Actor(), id); err != nil && !errors.Is(err, login.ErrNoSession) {
		s.fail(w, r, err)
		return
	}
	seeOther(w, "/account?note=ended")
}

// doWithdraw ends what an application may do; it has to ask for consent again.
func (s *Site) doWithdraw(w http.ResponseWriter, r *http.Request) {
	session, ok := s.member(w, r)
	if !ok {
		return
	}
	if s.provider == nil {
		s.fail(w, r, errNoProvider)
		return
	}
	client := r.PostForm.Get("client")
	if client == "" || len(client) > 256 || !utf8.ValidString(client) {
		s.fail(w, r, errForm)
		return
	}
	if err := s.provider.Withdraw(r.Context(), session.Actor(), client); err != nil {
		s.fail(w, r, err)
		return
	}
	seeOther(w, "/account?note=withdrawn")
}

func (s *Site) doEndOthers(w http.ResponseWriter, r *http.Request) {
	session, ok := s.member(w, r)
	if !ok {
		return
	}
	if _, err := s.Logins.EndAll(r.Context(), session.Actor(), session.Subject, session.ID); err != nil {
		s.fail(w, r, err)
		return
	}
	seeOther(w, "/account?note=others")
}
