package web

import (
	"net/http"
	"slices"

	"hufu/identity"
	"hufu/internal/fault"
	"hufu/oidc"
)

// consentView is the page on which a person lets an application have something.
type consentView struct {
	frame
	Destination *destination
	Action      string
	Acting      capacityView
	Always      []scopeView // comes with every log-in
	Scopes      []scopeView // can be left out
}

// scopeView is one thing that an application asks for, in plain words.
type scopeView struct {
	Scope     string
	Label     string
	Detail    string
	Value     string // what would be handed over, masked
	Sensitive bool   // needs a tick of its own
	Checked   bool
}

var scopeWords = map[string]struct{ label, detail fault.Text }{
	oidc.ScopeOpenID: {
		fault.Text{ZH: "确认是您本人在登录", EN: "Confirm that it is you"},
		fault.Text{ZH: "应用会得到您的账号编号，以及本次登录的时间和方式。", EN: "The application gets an account id, and when and how you logged in."},
	},
	oidc.ScopeProfile: {
		fault.Text{ZH: "您的姓名", EN: "Your name"},
		fault.Text{ZH: "与登记信息一致的姓名。", EN: "As registered."},
	},
	oidc.ScopePhone: {
		fault.Text{ZH: "您的手机号码", EN: "Your telephone number"},
		fault.Text{ZH: "用于办理进度通知和联系。", EN: "For notices and contact."},
	},
	oidc.ScopeAddress: {
		fault.Text{ZH: "您的地址", EN: "Your address"},
		fault.Text{ZH: "目前没有可提供的地址信息。", EN: "There is no address to hand over at present."},
	},
	oidc.ScopeIdentity: {
		fault.Text{ZH: "您的身份证件号码", EN: "The number of your identity document"},
		fault.Text{ZH: "敏感个人信息，需您单独勾选同意。每次提供都会留下记录。", EN: "Sensitive: it needs your separate consent. Every release is recorded."},
	},
	oidc.ScopeEntity: {
		fault.Text{ZH: "您的办事身份", EN: "Whom you act for"},
		fault.Text{ZH: "您代表的单位或担任的职务，以上方选择的为准。", EN: "The organisation or the post chosen above."},
	},
	oidc.ScopeOffline: {
		fault.Text{ZH: "在您退出登录后继续为您办理", EN: "Go on when you have logged out"},
		fault.Text{ZH: "例如等待审批结果。您可随时撤回。", EN: "For example to wait for a decision. You can take this back at any time."},
	},
	oidc.ScopeAPI: {
		fault.Text{ZH: "以您的名义使用本平台接口", EN: "Use this platform in your name"},
		fault.Text{ZH: "例如代您申请证书、用章或查询证照。您可随时撤回。", EN: "For example to apply for a certificate, to use a seal or to read a licence. You can take this back at any time."},
	},
}

func (s *Site) showConsent(w http.ResponseWriter, r *http.Request) {
	v, ok := s.arrive(w, r, oidc.StepConsent)
	if !ok {
		return
	}
	profile, err := s.People.Profile(r.Context(), v.session.Subject)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	page := &consentView{frame: s.frame(r, fault.Text{ZH: "授权确认", EN: "Allow the application?"}, v.Locales...), Action: step("/consent", v.ID)}
	page.Destination, page.origin = page.destination(v.Interaction), v.RedirectOrigin
	acting := identity.Capacity{Kind: identity.Person, Name: v.session.Name}
	if v.Capacity != nil {
		acting = *v.Capacity
	}
	page.Acting = page.capacity(acting)
	for _, scope := range v.Scopes {
		view := page.scope(scope, profile)
		view.Checked = !view.Sensitive || slices.Contains(v.Remembered, scope)
		if scope == oidc.ScopeOpenID {
			page.Always = append(page.Always, view)
		} else {
			page.Scopes = append(page.Scopes, view)
		}
	}
	s.show(w, r, "consent", page)
}

func (f frame) scope(scope string, p identity.Profile) scopeView {
	v := scopeView{Scope: scope, Label: f.T("使用接口 ", "Use the interface ") + scope, Sensitive: scope == oidc.ScopeIdentity}
	if words, ok := scopeWords[scope]; ok {
		v.Label, v.Detail = f.Say(words.label), f.Say(words.detail)
	}
	switch scope {
	case oidc.ScopeProfile:
		v.Value = p.Name
	case oidc.ScopePhone:
		v.Value = p.Phone.String()
	case oidc.ScopeIdentity:
		if len(p.Identifiers) > 0 {
			v.Value = p.Identifiers[0].Number.String()
		}
	}
	return v
}

// doConsent takes the answer. What was not ticked is not granted.
func (s *Site) doConsent(w http.ResponseWriter, r *http.Request) {
	v, ok := s.visit(w, r)
	if !ok {
		return
	}
	d := oidc.Decision{Session: v.session}
	switch r.PostForm.Get("answer") {
	case "refuse":
		d.Refused = true
	case "allow":
		d.Consent, d.Scopes = true, r.PostForm["scope"]
	default:
		s.fail(w, r, errForm)
		return
	}
	s.decide(w, r, v.ID, d)
}
