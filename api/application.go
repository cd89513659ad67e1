package api

import (
	"bytes"
	"context"
	"maps"
	"strings"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/actor"
)

func (a *API) applicationRoutes() []route {
	const seen, files = "maker, holder, registrar, approver", ca.MaxDocument/3*4 + 64<<10
	return []route{
		{"POST /api/v1/applications", "the holder, registrar", text("申请证书，可先存为草稿", "Apply for a certificate, or keep a draft"), on(a.apply, created)},
		{"GET /api/v1/applications", "registrar, approver; others their own", text("查询证书申请", "Search applications, newest first"), on(a.listApplications)},
		{"GET /api/v1/applications/{id}", seen, text("查看证书申请", "Get an application"), on(a.getApplication)},
		{"PUT /api/v1/applications/{id}", "maker", text("修改草稿", "Put another request into a draft"), on(a.changeApplication)},
		{"POST /api/v1/applications/{id}/submit", "maker", text("提交草稿", "Hand a draft in"), on(a.submitApplication)},
		{"POST /api/v1/applications/{id}/withdraw", "maker, the holder", text("撤回尚未审核的申请", "Take a draft or a submitted application back"), on(a.withdrawApplication)},
		{"POST /api/v1/applications/{id}/decision", "approver, not the maker, the holder or who added evidence", text("审核证书申请：通过、驳回或退回补正", "Approve or reject an application, or send it back for correction"), on(a.decideApplication)},
		{"POST /api/v1/applications/{id}/issue", seen, text("签发证书", "Issue the certificates of an approved application; repeated, it returns the same"), on(a.issue, costs(2))},
		{"POST /api/v1/applications/{id}/delivery", "the holder, maker", text("领取证书；可重复领取，首次领取时间留存", "Fetch what was issued; the first time is kept, and it can be fetched again"), on(a.deliver)},
		{"GET /api/v1/applications/{id}/evidence", seen, text("列出证明材料", "List the evidence of an application"), on(a.listDocuments)},
		{"POST /api/v1/applications/{id}/evidence", "maker, registrar, approver; before the decision", text("附加证明材料：文件或其 SM3", "Attach evidence: a document, or its SM3 alone"), on(a.addDocument, created, costs(2), large(files))},
		{"GET /api/v1/applications/{id}/evidence/{evidence}", seen, text("下载证明材料", "Get a document that is kept"), on(a.getDocument, gives(anyFile))},
	}
}

type applicationView struct {
	ID             string            `json:"id"`
	Profile        string            `json:"profile"`
	ProfileVersion int               `json:"profile_version"`
	Holder         string            `json:"holder"`
	Organization   string            `json:"organization,omitempty"`
	Facts          map[string]string `json:"facts,omitempty"`
	State          ca.State          `json:"state" enum:"draft,submitted,approved,rejected,issued,delivered,withdrawn"`
	Act            ca.Act            `json:"act,omitempty" enum:"renew,rekey,change" doc:"What it is for; absent for a first certificate"`
	Replaces       string            `json:"replaces,omitempty" doc:"Serial of the certificate that the new one replaces"`
	Maker          ActorView         `json:"maker"`
	Checkers       []ActorView       `json:"checkers,omitempty"`
	Reason         string            `json:"reason,omitempty" doc:"What the officer said last"`
	Steps          []stepView        `json:"steps,omitempty" doc:"What persons did to it, oldest first"`
	Batch          string            `json:"batch,omitempty"`
	Revision       int64             `json:"revision" doc:"Counts the changes"`
	At             time.Time         `json:"at"`
	DecidedAt      time.Time         `json:"decided_at,omitzero"`
	DeliveredAt    time.Time         `json:"delivered_at,omitzero"`
	Certificates   []string          `json:"certificates,omitempty" doc:"Serial numbers: the signing certificate first"`
}

type stepView struct {
	Act    string    `json:"act" enum:"draft,change,evidence,submit,approve,reject,return,withdraw"`
	By     string    `json:"by" doc:"Capacity and subject id"`
	At     time.Time `json:"at"`
	Remark string    `json:"remark,omitempty"`
}

func viewApplication(app ca.Application) applicationView {
	v := applicationView{
		ID: app.ID, Profile: app.Profile, ProfileVersion: app.ProfileVersion, Holder: app.Holder, Organization: app.Organization,
		Facts: app.Facts, State: app.State, Maker: viewActor(app.Maker), Reason: app.Reason, At: app.At, DecidedAt: app.DecidedAt,
		Certificates: app.Certificates, Act: app.Act, Replaces: app.Replaces, Batch: app.Batch,
		Revision: app.Revision, DeliveredAt: app.DeliveredAt,
	}
	for _, checker := range app.Checkers {
		v.Checkers = append(v.Checkers, viewActor(checker))
	}
	for _, s := range app.Steps {
		v.Steps = append(v.Steps, stepView(s))
	}
	return v
}

type applyInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"100" doc:"The same key gives the same application; make a random one for each"`
	Body applyBody
}

type applyBody struct {
	Profile      string            `json:"profile" maxLength:"64" example:"person-sign"`
	Holder       string            `json:"holder,omitempty" maxLength:"200" doc:"Subject id; yourself, or whom you act for, if left out"`
	Organization string            `json:"organization,omitempty" maxLength:"200" doc:"For an official: subject id of the organisation"`
	Facts        map[string]string `json:"facts,omitempty" doc:"The profile's fields"`
	CSR          string            `json:"csr,omitempty" maxLength:"65536" doc:"Certificate request (PKCS#10) in PEM, with the SM2 identifier 1234567812345678; a draft may lack it"`
	Draft        bool              `json:"draft,omitempty" doc:"Keep it as a draft; only who may apply is checked"`
}

func (b applyBody) request(by actor.Actor) ca.Request {
	q := ca.Request{
		Profile: b.Profile, Holder: b.Holder, Organization: b.Organization, Facts: b.Facts, CSR: []byte(strings.TrimSpace(b.CSR)), Draft: b.Draft,
	}
	if q.Holder == "" {
		q.Holder, q.Organization = holderOf(by, q.Organization)
	}
	return q
}

func (a *API) apply(ctx context.Context, by actor.Actor, in *applyInput) (*body[applicationView], error) {
	q := in.Body.request(by)
	q.Key = in.Key
	app, err := a.CA.Apply(ctx, by, q)
	if err != nil {
		return nil, err
	}
	if !sameRequest(app, q) {
		return nil, errKeyReused.With("application %s", app.ID)
	}
	return &body[applicationView]{viewApplication(app)}, nil
}

type changeApplicationInput struct {
	IDInput
	Body applyBody
}

func (a *API) changeApplication(ctx context.Context, by actor.Actor, in *changeApplicationInput) (*body[applicationView], error) {
	app, err := a.CA.Change(ctx, by, in.ID, in.Body.request(by))
	return &body[applicationView]{viewApplication(app)}, err
}

func (a *API) submitApplication(ctx context.Context, by actor.Actor, in *IDInput) (*body[applicationView], error) {
	app, err := a.CA.Submit(ctx, by, in.ID)
	return &body[applicationView]{viewApplication(app)}, err
}

type withdrawInput struct {
	IDInput
	Body struct {
		Remark string `json:"remark,omitempty" maxLength:"600"`
	}
}

func (a *API) withdrawApplication(ctx context.Context, by actor.Actor, in *withdrawInput) (*body[applicationView], error) {
	app, err := a.CA.Withdraw(ctx, by, in.ID, in.Body.Remark)
	return &body[applicationView]{viewApplication(app)}, err
}

// holderOf is for whom an actor applies without saying.
func holderOf(by actor.Actor, organization string) (holder, org string) {
	switch by.Capacity {
	case actor.Entity:
		return by.For, organization
	case actor.Official:
		return by.Subject, by.For
	default:
		return by.Subject, organization
	}
}

// sameRequest tells whether an application came of this request, and not of another one under the same key.
func sameRequest(app ca.Application, q ca.Request) bool {
	var der []byte
	if len(q.CSR) > 0 {
		var err error
		if der, err = certs.DecodePEM(q.CSR, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"); err != nil {
			return false
		}
	}
	return bytes.Equal(der, app.Request) && app.Profile == q.Profile && app.Holder == q.Holder &&
		app.Organization == q.Organization && maps.Equal(app.Facts, q.Facts)
}

type applicationsInput struct {
	Paging
	State   ca.State  `query:"state" enum:"draft,submitted,approved,rejected,issued,delivered,withdrawn"`
	Profile string    `query:"profile" maxLength:"64"`
	Holder  string    `query:"holder" maxLength:"200" doc:"Subject id"`
	Maker   string    `query:"maker" maxLength:"220" doc:"Capacity, colon, subject id; me for yourself as you act now, which is also what others than officers get"`
	Batch   string    `query:"batch" maxLength:"200"`
	From    time.Time `query:"from" doc:"Made then or later"`
	To      time.Time `query:"to" doc:"Made before then"`
}

func (a *API) listApplications(ctx context.Context, by actor.Actor, in *applicationsInput) (*body[page[applicationView]], error) {
	f := ca.ApplicationFilter{
		State: in.State, Profile: in.Profile, Holder: in.Holder, Maker: in.Maker, Batch: in.Batch, From: in.From, To: in.To, Limit: in.Limit,
	}
	if f.Maker == "me" {
		f.Maker = by.String()
	}
	var err error
	if in.After, f.BeforeID, _ = strings.Cut(in.After, "."); in.After != "" {
		if f.Before, err = in.before(); err != nil {
			return nil, err
		}
	}
	apps, err := a.CA.Applications(ctx, by, f)
	if err != nil {
		return nil, err
	}
	return pageOf(apps, in.Limit, viewApplication, func(app ca.Application) string { return timed(app.At) + "." + app.ID }), nil
}

func (a *API) getApplication(ctx context.Context, by actor.Actor, in *IDInput) (*body[applicationView], error) {
	app, err := a.CA.Application(ctx, by, in.ID)
	return &body[applicationView]{viewApplication(app)}, err
}

type decideInput struct {
	IDInput
	Body verdict
}

// verdict is what an officer decides on an application, or on rows of a batch.
type verdict struct {
	Approve  bool   `json:"approve"`
	SendBack bool   `json:"send_back,omitempty" doc:"Not approved, but sent back for correction: it is a draft again"`
	Reason   string `json:"reason,omitempty" maxLength:"600" doc:"Needed when approve is false; else a remark that is kept"`
	Revision int64  `json:"revision,omitempty" minimum:"0" doc:"Of the application that was looked at: if it changed since, nothing is decided"`
}

func (v verdict) decision() ca.Decision {
	d := ca.Decision{Verdict: ca.Reject, Reason: v.Reason, Revision: v.Revision}
	switch {
	case v.Approve:
		d.Verdict = ca.Approve
	case v.SendBack:
		d.Verdict = ca.Return
	}
	return d
}

func (a *API) decideApplication(ctx context.Context, by actor.Actor, in *decideInput) (*body[applicationView], error) {
	app, err := a.CA.Judge(ctx, by, in.ID, in.Body.decision())
	return &body[applicationView]{viewApplication(app)}, err
}

type issuedView struct {
	Application  applicationView   `json:"application"`
	Certificates []CertificateView `json:"certificates" doc:"The signing certificate first, then the encryption certificate if the profile has a pair"`
	Chain        string            `json:"chain" doc:"The issuers' certificates in PEM, the root last"`
	Envelope     []byte            `json:"envelope,omitempty" doc:"Private key of the encryption certificate, enveloped to the signing key (SM2EnvelopedKey, GB/T 35276), DER in base64"`
	Response     []byte            `json:"response,omitempty" doc:"Both certificates with the enveloped key (GM/T 0092), DER in base64"`
	CFCA         string            `json:"cfca,omitempty" doc:"In place of envelope and response: private key of the encryption certificate for the temporary key of a request in the form of CFCA"`
}

func (a *API) issue(ctx context.Context, by actor.Actor, in *IDInput) (*body[issuedView], error) {
	app, err := a.CA.Issue(ctx, by, in.ID)
	return a.handOver(ctx, by, app, err)
}

func (a *API) deliver(ctx context.Context, by actor.Actor, in *IDInput) (*body[issuedView], error) {
	app, err := a.CA.Deliver(ctx, by, in.ID)
	return a.handOver(ctx, by, app, err)
}

// handOver shows an application with what was issued for it.
func (a *API) handOver(ctx context.Context, by actor.Actor, app ca.Application, err error) (*body[issuedView], error) {
	if err != nil {
		return nil, err
	}
	out := &body[issuedView]{issuedView{Application: viewApplication(app)}}
	var leaves []*certs.Certificate
	for _, serial := range app.Certificates {
		chain, err := a.CA.Chain(ctx, by, serial)
		if err != nil {
			return nil, err
		}
		leaves = append(leaves, chain[0])
		out.Body.Certificates = append(out.Body.Certificates, viewCertificate(chain[0]))
		out.Body.Chain = string(pems(chain[1:]))
	}
	return out, out.Body.deliverPair(leaves, app.Envelope)
}
