package api

import (
	"context"
	"time"

	"hufu/identity"
	"hufu/internal/actor"
)

type subjectView struct {
	ID          string           `json:"id"`
	Kind        identity.Kind    `json:"kind" enum:"person,entity"`
	Name        string           `json:"name"`
	State       identity.State   `json:"state" enum:"active,frozen,closed"`
	Phone       string           `json:"phone,omitempty" doc:"Masked"`
	Email       string           `json:"email,omitempty" doc:"Masked; where reminders go"`
	USCC        string           `json:"uscc,omitempty" doc:"Of an entity"`
	Identifiers []identifierView `json:"identifiers"`
	Registered  time.Time        `json:"registered"`
	Changed     time.Time        `json:"changed"`
}

type identifierView struct {
	Type    identity.IdentifierType `json:"type"`
	Country string                  `json:"country,omitempty"`
	Number  string                  `json:"number" doc:"Masked"`
}

// viewSubject shows numbers masked: Number prints itself so.
func viewSubject(s identity.Subject) subjectView {
	v := subjectView{
		ID: s.ID, Kind: s.Kind, Name: s.Name, State: s.State, USCC: s.USCC(), Identifiers: []identifierView{},
		Registered: s.Registered, Changed: s.Changed,
	}
	if s.Phone != "" {
		v.Phone = s.Phone.String()
	}
	if s.Email != "" {
		v.Email = s.Email.String()
	}
	for _, id := range s.Identifiers {
		v.Identifiers = append(v.Identifiers, identifierView{id.Type, id.Country, id.Number.String()})
	}
	return v
}

type identifierBody struct {
	Type    identity.IdentifierType `json:"type" enum:"resident-id,passport,hk-macao-permit,taiwan-permit,military-id,uscc"`
	Country string                  `json:"country,omitempty" maxLength:"3" doc:"ISO 3166-1 alpha-3; CHN, if left out"`
	Number  string                  `json:"number" minLength:"1" maxLength:"64"`
}

func (b identifierBody) identifier() identity.Identifier {
	return identity.Identifier{Type: b.Type, Country: b.Country, Number: identity.Number(b.Number)}
}

type evidenceBody struct {
	Method  identity.Method `json:"method" enum:"phone,match,face,bank,sim,registry,counter,certificate"`
	Source  string          `json:"source" minLength:"1" maxLength:"200" doc:"Who says so; no personal data"`
	Level   int             `json:"level,omitempty" minimum:"0" maximum:"4" doc:"The method's best, if left out"`
	At      time.Time       `json:"at,omitzero"`
	Expires time.Time       `json:"expires,omitzero"`
}

func (b evidenceBody) evidence() identity.Evidence {
	return identity.Evidence{Method: b.Method, Source: b.Source, Level: actor.Level(b.Level), At: b.At, Expires: b.Expires}
}

func evidenceOf(all []evidenceBody) (out []identity.Evidence) {
	for _, e := range all {
		out = append(out, e.evidence())
	}
	return out
}

type personInput struct {
	Body struct {
		Name        string           `json:"name" minLength:"1" maxLength:"200"`
		Identifiers []identifierBody `json:"identifiers,omitempty" maxItems:"10"`
		Phone       string           `json:"phone,omitempty" maxLength:"32"`
		Evidence    []evidenceBody   `json:"evidence,omitempty" maxItems:"20"`
	}
}

func (a *API) registerPerson(ctx context.Context, by actor.Actor, in *personInput) (*body[subjectView], error) {
	f := identity.PersonForm{Name: in.Body.Name, Phone: in.Body.Phone, Evidence: evidenceOf(in.Body.Evidence)}
	for _, id := range in.Body.Identifiers {
		f.Identifiers = append(f.Identifiers, id.identifier())
	}
	s, err := a.People.RegisterPerson(ctx, by, f)
	return &body[subjectView]{viewSubject(s)}, err
}

type entityInput struct {
	Body struct {
		Name     string         `json:"name" minLength:"1" maxLength:"300"`
		USCC     string         `json:"uscc" minLength:"1" maxLength:"32" doc:"Unified social credit code"`
		LegalRep string         `json:"legal_representative,omitempty" maxLength:"200" doc:"Subject id of the person in the register"`
		Evidence []evidenceBody `json:"evidence,omitempty" maxItems:"20"`
	}
}

func (a *API) registerEntity(ctx context.Context, by actor.Actor, in *entityInput) (*body[subjectView], error) {
	s, err := a.People.RegisterEntity(ctx, by, identity.EntityForm{
		Name: in.Body.Name, USCC: in.Body.USCC, LegalRep: in.Body.LegalRep, Evidence: evidenceOf(in.Body.Evidence),
	})
	return &body[subjectView]{viewSubject(s)}, err
}

// Names and numbers stand in the body, since addresses are logged on the way.
type searchInput struct {
	Body struct {
		Text  string         `json:"text,omitempty" maxLength:"200" doc:"Beginning of a name, or a whole phone, resident ID or credit code"`
		Kind  identity.Kind  `json:"kind,omitempty" enum:"person,entity"`
		State identity.State `json:"state,omitempty" enum:"active,frozen,closed"`
		After string         `json:"after,omitempty" maxLength:"200" doc:"next of the page before"`
		Limit int            `json:"limit,omitempty" minimum:"1" maximum:"100" default:"50"`
	}
}

func (a *API) searchSubjects(ctx context.Context, by actor.Actor, in *searchInput) (*body[page[subjectView]], error) {
	b := in.Body
	p, err := a.People.Search(ctx, by, identity.Query{Text: b.Text, Kind: b.Kind, State: b.State, Page: b.After, Limit: b.Limit})
	out := pageOf(p.Subjects, 0, viewSubject, nil)
	out.Body.Next = p.Next
	return out, err
}

func (a *API) getSubject(ctx context.Context, by actor.Actor, in *IDInput) (*body[subjectView], error) {
	s, err := a.People.Get(ctx, by, in.ID)
	return &body[subjectView]{viewSubject(s)}, err
}

type contactInput struct {
	IDInput
	Body struct {
		Name  string `json:"name" minLength:"1" maxLength:"300"`
		Phone string `json:"phone" maxLength:"32" doc:"Empty takes it away"`
	}
}

func (a *API) setContact(ctx context.Context, by actor.Actor, in *contactInput) (*none, error) {
	return nil, a.People.SetContact(ctx, by, in.ID, in.Body.Name, in.Body.Phone)
}

type emailInput struct {
	IDInput
	Body struct {
		Email string `json:"email" maxLength:"254" doc:"Empty takes it away"`
	}
}

func (a *API) setEmail(ctx context.Context, by actor.Actor, in *emailInput) (*none, error) {
	return nil, a.People.SetEmail(ctx, by, in.ID, in.Body.Email)
}

type identifierInput struct {
	IDInput
	Body identifierBody
}

func (a *API) addIdentifier(ctx context.Context, by actor.Actor, in *identifierInput) (*none, error) {
	return nil, a.People.AddIdentifier(ctx, by, in.ID, in.Body.identifier())
}

func (a *API) endIdentifier(ctx context.Context, by actor.Actor, in *identifierInput) (*none, error) {
	return nil, a.People.EndIdentifier(ctx, by, in.ID, in.Body.identifier())
}

type evidenceView struct {
	ID      string          `json:"id"`
	Method  identity.Method `json:"method"`
	Source  string          `json:"source"`
	Level   int             `json:"level"`
	At      time.Time       `json:"at"`
	Expires time.Time       `json:"expires,omitzero"`
	By      string          `json:"by"`
}

func (a *API) listEvidence(ctx context.Context, by actor.Actor, in *IDInput) (*body[page[evidenceView]], error) {
	all, err := a.People.EvidenceOf(ctx, by, in.ID)
	return pageOf(all, 0, func(e identity.Evidence) evidenceView {
		return evidenceView{e.ID, e.Method, e.Source, int(e.Level), e.At, e.Expires, e.By}
	}, nil), err
}

type evidenceInput struct {
	IDInput
	Body evidenceBody
}

func (a *API) addEvidence(ctx context.Context, by actor.Actor, in *evidenceInput) (*none, error) {
	return nil, a.People.AddEvidence(ctx, by, in.ID, in.Body.evidence())
}

type legalRepInput struct {
	IDInput
	Body struct {
		Person string `json:"person" minLength:"1" maxLength:"200" doc:"Subject id"`
		Source string `json:"source" minLength:"1" maxLength:"200" doc:"The register that says so"`
	}
}

func (a *API) setLegalRep(ctx context.Context, by actor.Actor, in *legalRepInput) (*none, error) {
	return nil, a.People.SetLegalRep(ctx, by, in.ID, in.Body.Person, in.Body.Source)
}
