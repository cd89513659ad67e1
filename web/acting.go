package web

import (
	"net/http"
	"strings"

	"hufu/identity"
	"hufu/internal/fault"
	"hufu/oidc"
)

// actingView is the page on which a person chooses whom to act for.
type actingView struct {
	frame
	Destination *destination
	Action      string
	Person      string
	Choices     []capacityView
}

// capacityView is one of the ways in which a person may act.
type capacityView struct {
	Value  string // for the form
	Kind   identity.Kind
	Label  string // 为本人办事
	Name   string
	Detail string
}

func (f frame) capacity(c identity.Capacity) capacityView {
	v := capacityView{Value: strings.Join([]string{string(c.Kind), c.For, c.PostID}, ":"), Kind: c.Kind, Name: c.Name}
	switch c.Kind {
	case identity.Entity:
		v.Label = f.T("为单位办事", "For an organisation")
		v.Detail = f.relation(c.Relation) + f.T("，统一社会信用代码 ", ", credit code ") + c.USCC
	case identity.Official:
		v.Label = f.T("以公务身份办事", "In office")
		v.Detail = f.T("职务：", "Post: ") + c.Post
	default:
		v.Label = f.T("为本人办事", "For myself")
		v.Detail = f.T("办理个人事项", "My own affairs")
	}
	return v
}

func (f frame) relation(r identity.Relation) string {
	if r == identity.LegalRep {
		return f.T("法定代表人", "Legal representative")
	}
	return f.T("经办人", "Agent")
}

func (s *Site) showActing(w http.ResponseWriter, r *http.Request) {
	v, ok := s.arrive(w, r, oidc.StepActing)
	if !ok {
		return
	}
	s.show(w, r, "acting", s.actingView(r, v))
}

func (s *Site) actingView(r *http.Request, v visit) *actingView {
	page := &actingView{
		frame:  s.frame(r, fault.Text{ZH: "选择办事身份", EN: "Whom do you act for?"}, v.Locales...),
		Action: step("/acting", v.ID), Person: v.session.Name,
	}
	page.Destination, page.origin = page.destination(v.Interaction), v.RedirectOrigin
	for _, c := range v.Capacities {
		page.Choices = append(page.Choices, page.capacity(c))
	}
	return page
}

// doActing takes the choice; whether the person has that capacity is the provider's to check.
func (s *Site) doActing(w http.ResponseWriter, r *http.Request) {
	v, ok := s.visit(w, r)
	if !ok {
		return
	}
	d := oidc.Decision{Session: v.session, Refused: r.PostForm.Has("refuse")}
	if !d.Refused {
		parts := strings.Split(r.PostForm.Get("as"), ":")
		if len(parts) != 3 {
			if v.Next != oidc.StepActing {
				s.decide(w, r, v.ID, d)
				return
			}
			page := s.actingView(r, v)
			page.blame(http.StatusUnprocessableEntity, "choices", page.T("请选择一个办事身份。", "Choose one of these."))
			s.show(w, r, "acting", page)
			return
		}
		d.Capacity = &oidc.CapacityChoice{Kind: identity.Kind(parts[0]), For: parts[1], Post: parts[2]}
	}
	s.decide(w, r, v.ID, d)
}
