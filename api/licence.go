package api

import (
	"context"
	"time"

	"hufu/internal/actor"
	"hufu/licence"
	"hufu/seal"
)

type licenceView struct {
	ID          string             `json:"id" doc:"Licence identifier (GB/T 36904) with its check character"`
	Type        string             `json:"type"`
	TypeVersion int                `json:"type_version"`
	Title       string             `json:"title"`
	Version     int                `json:"version"`
	Issuer      string             `json:"issuer" doc:"Subject id of the organisation"`
	IssuerName  string             `json:"issuer_name"`
	Holder      string             `json:"holder" doc:"Subject id"`
	HolderName  string             `json:"holder_name"`
	State       licence.State      `json:"state"`
	Reason      string             `json:"reason,omitempty"`
	Replaces    string             `json:"replaces,omitempty"`
	ReplacedBy  string             `json:"replaced_by,omitempty"`
	Seal        string             `json:"seal,omitempty" doc:"Code of the seal on it"`
	Entry       string             `json:"entry,omitempty" doc:"Id of the log's entry about its sealing; see /pki/log/proof?entry="`
	From        time.Time          `json:"valid_from"`
	Until       time.Time          `json:"valid_until,omitzero" doc:"First moment after its validity; absent: without end"`
	At          time.Time          `json:"at"`
	ChangedAt   time.Time          `json:"changed_at"`
	Fields      []licenceFieldView `json:"fields,omitempty"`
}

type licenceFieldView struct {
	Name  string `json:"name"`
	Label string `json:"label"`
	Value string `json:"value"`
	Text  string `json:"text" doc:"As printed"`
}

func (a *API) viewLicence(l licence.Licence) licenceView {
	v := licenceView{
		ID: l.ID, Type: l.Type, TypeVersion: l.TypeVersion, Title: l.Title, Version: l.Version, Issuer: l.Issuer, IssuerName: l.IssuerName,
		Holder: l.Holder, HolderName: l.HolderName, State: l.StateAt(a.Now()), Reason: l.Reason, Replaces: l.Replaces, ReplacedBy: l.ReplacedBy,
		Seal: l.Seal, Entry: l.Stamp.Entry, From: l.From, Until: l.Until, At: l.At, ChangedAt: l.ChangedAt,
	}
	for _, f := range l.Data.Fields {
		v.Fields = append(v.Fields, licenceFieldView{f.Name, f.Label, f.Value, f.Printed()})
	}
	return v
}

type orderBody struct {
	Type   string            `json:"type" maxLength:"64" doc:"Code, see /api/v1/licence-types"`
	Holder string            `json:"holder" maxLength:"200" doc:"Subject id"`
	Data   map[string]string `json:"data,omitempty" doc:"Values by name of field"`
	Seal   string            `json:"seal,omitempty" maxLength:"64" doc:"Code; the first active seal of the organisation, if left out"`
	PIN    string            `json:"pin,omitempty" maxLength:"256" doc:"Of the seal; needed unless a standing activation covers licence/ and the type"`
}

type orderInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"64" doc:"The same key and order give the same licence; make a random one for each"`
	Body orderBody
}

func (in orderInput) order() licence.Order {
	return licence.Order{
		Type: in.Body.Type, Holder: in.Body.Holder, Data: in.Body.Data, Seal: in.Body.Seal, Key: in.Key, Consent: seal.Consent{PIN: []byte(in.Body.PIN)},
	}
}

func (a *API) issueLicence(ctx context.Context, by actor.Actor, in *orderInput) (*body[licenceView], error) {
	l, err := a.Licences.Issue(ctx, by, in.order())
	return &body[licenceView]{a.viewLicence(l)}, err
}

func (a *API) draftLicence(ctx context.Context, by actor.Actor, in *orderInput) (*file, error) {
	svg, err := a.Licences.Draft(ctx, by, in.order())
	return &file{Type: svgType, Body: svg}, err
}

type changeInput struct {
	IDInput
	Key  string `header:"Idempotency-Key" maxLength:"64"`
	Body struct {
		Data map[string]string `json:"data" doc:"Values by name of field"`
		PIN  string            `json:"pin,omitempty" maxLength:"256" doc:"Of the seal; as when a licence is issued"`
	}
}

func (a *API) changeLicence(ctx context.Context, by actor.Actor, in *changeInput) (*body[licenceView], error) {
	l, err := a.Licences.Change(ctx, by, in.ID, licence.Changes{Data: in.Body.Data, Key: in.Key, Consent: seal.Consent{PIN: []byte(in.Body.PIN)}})
	return &body[licenceView]{a.viewLicence(l)}, err
}

type licencesInput struct {
	Paging
	Type  string        `query:"type" maxLength:"64"`
	State licence.State `query:"state" enum:"active,suspended,cancelled,revoked,withdrawn,superseded,expired"`
}

// listLicences lists the caller's own, or those of whom the caller acts for.
func (a *API) listLicences(ctx context.Context, by actor.Actor, in *licencesInput) (*body[page[licenceView]], error) {
	p, err := a.Licences.List(ctx, by, licence.Query{Type: in.Type, State: in.State, Page: in.After, Limit: in.Limit})
	return a.licencePage(p), err
}

// Names and identifiers stand in the body, since addresses are logged on the way.
type searchLicencesInput struct {
	Body struct {
		Text  string        `json:"text,omitempty" maxLength:"200" doc:"A whole identifier or a holder's whole name"`
		Type  string        `json:"type,omitempty" maxLength:"64"`
		State licence.State `json:"state,omitempty" enum:"drafted,active,suspended,cancelled,revoked,withdrawn,superseded,expired,void"`
		After string        `json:"after,omitempty" maxLength:"200"`
		Limit int           `json:"limit,omitempty" minimum:"1" maximum:"100" default:"50"`
	}
}

func (a *API) searchLicences(ctx context.Context, by actor.Actor, in *searchLicencesInput) (*body[page[licenceView]], error) {
	q := licence.Query{Text: in.Body.Text, Type: in.Body.Type, State: in.Body.State, Page: in.Body.After, Limit: in.Body.Limit}
	p, err := a.Licences.Search(ctx, by, q)
	return a.licencePage(p), err
}

func (a *API) licencePage(p licence.Page) *body[page[licenceView]] {
	out := pageOf(p.Licences, 0, a.viewLicence, nil)
	out.Body.Next = p.Next
	return out
}

func (a *API) getLicence(ctx context.Context, by actor.Actor, in *IDInput) (*body[licenceView], error) {
	l, err := a.Licences.Get(ctx, by, in.ID)
	return &body[licenceView]{a.viewLicence(l)}, err
}

func (a *API) licenceDocument(ctx context.Context, by actor.Actor, in *IDInput) (*file, error) {
	doc, err := a.Licences.Document(ctx, by, in.ID)
	return &file{Type: ofdType, Disposition: attachment(in.ID + ".ofd"), Body: doc}, err
}

func (a *API) licencePreview(ctx context.Context, by actor.Actor, in *IDInput) (*file, error) {
	doc, err := a.Licences.Document(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	svg, err := licence.Preview(doc)
	return &file{Type: svgType, Body: svg}, err
}

type showInput struct {
	IDInput
	Body *struct {
		Fields   []string `json:"fields,omitempty" maxItems:"100" doc:"Names; those that the type names, if left out"`
		Audience string   `json:"audience,omitempty" maxLength:"240" doc:"To whom it is shown; anyone, if left out"`
		Seconds  int      `json:"seconds,omitempty" minimum:"0" maximum:"86400" doc:"How long; ten minutes, if left out"`
	}
}

type qrView struct {
	Text string `json:"text" doc:"To be drawn as a QR code; checked without a network"`
}

func (a *API) showLicence(ctx context.Context, by actor.Actor, in *showInput) (*body[qrView], error) {
	var w licence.Showing
	if in.Body != nil {
		w = licence.Showing{Fields: in.Body.Fields, Audience: in.Body.Audience, Life: time.Duration(in.Body.Seconds) * time.Second}
	}
	text, err := a.Licences.Show(ctx, by, in.ID, w)
	return &body[qrView]{qrView{text}}, err
}

type proofView struct {
	Proof string `json:"proof" doc:"Offline proof (C2SP tlog-proof)"`
}

func (a *API) licenceProof(ctx context.Context, by actor.Actor, in *IDInput) (*body[proofView], error) {
	l, err := a.Licences.Get(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	proof, err := a.Audit.Proof(ctx, l.Stamp.Entry)
	return &body[proofView]{proofView{string(proof.Text())}}, err
}
