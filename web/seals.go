package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"hufu/identity"
	"hufu/identity/login"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/seal"
)

// Seals is what the pages of seals need. seal.Service satisfies it. A PIN that passes through is neither kept nor shown again.
type Seals interface {
	List(ctx context.Context, by actor.Actor, f seal.Filter) ([]seal.Seal, error)
	Get(ctx context.Context, by actor.Actor, code string) (seal.Seal, error)
	Held(ctx context.Context, by actor.Actor, code string) (seal.Held, error)
	Make(ctx context.Context, by actor.Actor, code string, m seal.Making) (seal.Seal, error)
	SetPIN(ctx context.Context, by actor.Actor, code string, old, fresh []byte) error
	Stamp(ctx context.Context, by actor.Actor, o seal.Order) (seal.Stamped, error)
	Activations
}

// Activations are what an owner allows a seal to stamp without a PIN.
type Activations interface {
	Activations(ctx context.Context, by actor.Actor, code string) ([]seal.Activation, error)
	Activate(ctx context.Context, by actor.Actor, code string, c seal.Consent, b seal.Bounds) (seal.Activation, error)
	Withdraw(ctx context.Context, by actor.Actor, code, id string) error
}

// Kind is a kind of documents that an activation may cover, with its name for people.
type Kind struct {
	Kind string
	Name fault.Text
}

// sealsView lists the seals of those whom the person may act for.
type sealsView struct {
	frame
	Owners []ownerView
}

type ownerView struct {
	Name  string
	As    string
	Seals []sealRow
}

type sealRow struct {
	Code, Name, Line string
	State            verdict
}

// sealView is the page of a seal.
type sealView struct {
	frame
	Seal        seal.Seal
	State       verdict
	Kept        fault.Text // how the key is kept
	KeptMore    fault.Text
	Held        seal.Held
	Locked      string // until
	MayStamp    bool
	MayWithdraw bool
	Active      bool
	NeedsPIN    bool // to stamp a document: no activation covers it
	Activations []activationRow
	Ended       []activationRow
	Kinds       []kindBox
	Form        sealForm
	covered     []string // kinds that a live activation covers
}

type activationRow struct {
	ID          string
	Kinds       string
	Left, Count int
	Until, Made string
	State       verdict
	Mine        bool
}

type kindBox struct {
	Value, Label string
	Checked      bool
}

// sealForm is what was typed, but for PINs.
type sealForm struct {
	Count, Days   string
	Purpose       string
	Page, X, Y    string
	Width, Height string
}

func (f frame) sealState(s seal.State) verdict {
	switch s {
	case seal.Applied:
		return verdict{"unsure", "icon-unsure", f.T("待审核", "Applied for")}
	case seal.Approved:
		return verdict{"unsure", "icon-unsure", f.T("待制章", "Approved, not made yet")}
	case seal.Active:
		return verdict{"yes", "icon-yes", f.T("启用中", "Active")}
	case seal.Frozen:
		return verdict{"unsure", "icon-unsure", f.T("已冻结", "Frozen")}
	case seal.Revoked:
		return verdict{"no", "icon-no", f.T("已注销", "Revoked")}
	case seal.Rejected:
		return verdict{"no", "icon-no", f.T("已驳回", "Rejected")}
	}
	return verdict{"plain", "icon-none", string(s)}
}

// deputies returns the ways in which the person may act for others.
func (s *Site) deputies(r *http.Request, session *login.Session) (all []actor.Actor, labels []string, err error) {
	capacities, err := s.People.Capacities(r.Context(), session.Subject)
	if err != nil {
		return nil, nil, err
	}
	for _, c := range capacities {
		if c.Kind == identity.Person {
			continue
		}
		by, err := s.People.Act(r.Context(), session.Actor(), c)
		if err != nil {
			return nil, nil, err
		}
		all, labels = append(all, by), append(labels, c.Name)
	}
	return all, labels, nil
}

func (s *Site) showSeals(w http.ResponseWriter, r *http.Request) {
	session, ok := s.member(w, r)
	if !ok {
		return
	}
	v := &sealsView{frame: s.frame(r, fault.Text{ZH: "电子印章", EN: "Seals"})}
	ways, names, err := s.deputies(r, session)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	for i, by := range ways {
		if slices.ContainsFunc(ways[:i], func(a actor.Actor) bool { return a.For == by.For }) {
			continue
		}
		seals, err := s.Seals.List(r.Context(), by, seal.Filter{Owner: by.For})
		if err != nil {
			s.fail(w, r, err)
			return
		}
		o := ownerView{Name: names[i]}
		for _, one := range seals {
			o.Seals = append(o.Seals, sealRow{one.Code, one.Name, one.Line, v.sealState(one.State)})
		}
		v.Owners = append(v.Owners, o)
	}
	s.show(w, r, "seals", v)
}

// sealActor finds the capacity in which the person may do most with a seal. It has answered when ok is false.
func (s *Site) sealActor(w http.ResponseWriter, r *http.Request) (by actor.Actor, found seal.Seal, ok bool) {
	session, member := s.member(w, r)
	if !member {
		return by, found, false
	}
	ways, _, err := s.deputies(r, session)
	var unseen error = seal.ErrUnknown.With("%s acts for nobody", session.Actor())
	for _, way := range ways {
		one, getErr := s.Seals.Get(r.Context(), way, r.PathValue("code"))
		switch {
		case getErr != nil:
			unseen = getErr
		case !ok || seal.MayStamp(way, one):
			by, found, ok = way, one, true
		}
	}
	if err == nil && !ok {
		err = unseen
	}
	if err != nil {
		s.fail(w, r, err)
		return by, found, false
	}
	return by, found, true
}

func (s *Site) showSeal(w http.ResponseWriter, r *http.Request) {
	by, found, ok := s.sealActor(w, r)
	if !ok {
		return
	}
	v, err := s.sealView(r, by, found)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.show(w, r, "seal", v)
}

func (s *Site) sealView(r *http.Request, by actor.Actor, found seal.Seal) (*sealView, error) {
	v := &sealView{frame: s.frame(r, fault.Text{ZH: "电子印章", EN: "Seal"}), Seal: found, Active: found.State == seal.Active}
	v.Wide, v.State, v.MayStamp = true, v.sealState(found.State), seal.MayStamp(by, found)
	v.MayWithdraw = v.MayStamp || by.Is(actor.RoleSealOfficer)
	v.Title = found.Name + " · " + v.Title
	if note, ok := notes[r.URL.Query().Get("note")]; ok {
		v.Note = v.Say(note)
	}
	v.Form = sealForm{Count: "100", Days: "30", Page: "1", X: "120", Y: "220", Width: "42", Height: "42"}
	if style, ok := seal.FindStyle(found.Style); ok {
		v.Form.Width = fmt.Sprint(style.Diameter)
		v.Form.Height = v.Form.Width
	}
	if found.KeyID == "" {
		return v, nil
	}
	var err error
	if v.Held, err = s.Seals.Held(r.Context(), by, found.Code); err != nil {
		return nil, err
	}
	if v.Held.Locked {
		v.Locked = v.Time(v.Held.Until)
	}
	v.Kept, v.KeptMore = s.kept(v.Held)
	all, err := s.Seals.Activations(r.Context(), by, found.Code)
	if err != nil {
		return nil, err
	}
	v.list(s, by, all)
	return v, nil
}

// servePicture serves the picture of a seal, which is drawn here and holds no scripts.
func (s *Site) servePicture(w http.ResponseWriter, r *http.Request) {
	_, found, ok := s.sealActor(w, r)
	if !ok {
		return
	}
	if len(found.SVG) == 0 {
		s.fail(w, r, errNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "image/svg+xml")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox")
	_, _ = w.Write(found.SVG)
}

// sealRoutes are the pages of seals.
func (s *Site) sealRoutes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /seals":                         s.showSeals,
		"GET /seals/{code}":                  s.showSeal,
		"GET /seals/{code}/picture.svg":      s.servePicture,
		"POST /seals/{code}/make":            s.form(s.doMakeSeal),
		"POST /seals/{code}/pin":             s.form(s.doSealPIN),
		"POST /seals/{code}/activations":     s.form(s.doActivate),
		"POST /seals/{code}/activations/end": s.form(s.doWithdrawActivation),
		"POST /seals/{code}/stamp":           s.doStamp,
	}
}

// refuseSealForm shows the page again with the reason beside the field that it is about. What is no refusal, but a failure, gets the
// page of failures.
func (s *Site) refuseSealForm(w http.ResponseWriter, r *http.Request, v *sealView, pinField string, err error) {
	text, ok := s.say(r.Context(), v.Lang, err)
	e, known := errors.AsType[*fault.Error](err)
	if !ok || !known {
		s.fail(w, r, err)
		return
	}
	status, field := http.StatusUnprocessableEntity, ""
	switch {
	case strings.HasPrefix(e.Code, "keys.pin"), e.Code == "keys.activation", e.Code == "keys.enrolment":
		field = pinField
	case e.Kind == fault.Limited:
		status, field = http.StatusTooManyRequests, pinField
		if v.Held.Locked {
			w.Header().Set("Retry-After", fmt.Sprint(max(1, int(v.Held.Until.Sub(s.Now())/time.Second))))
		}
	case e.Kind != fault.Invalid:
		status = statuses[e.Kind]
	}
	v.blame(status, field, text)
	s.show(w, r, "seal", v)
}
