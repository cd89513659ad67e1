package api

import (
	"context"
	"encoding/hex"
	"strings"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/fault"
)

func (a *API) certificateRoutes() []route {
	const ender = "the holder, who represents the entity that holds it, approver, business administrator"
	const replacer = "the holder, who represents the entity that holds it, registrar, approver, whoever signs with its key"
	return []route{
		{"GET /api/v1/certificates", "the holder, officers", text("查询证书", "Search certificates, newest first"), on(a.findCertificates)},
		{"GET /api/v1/certificates/{serial}", anyone + "; of persons and officials the holder, whoever acts for it, officers", text("下载证书及证书链；个人和公务人员的证书仅限持有人和登记人员", "Get a certificate, its chain and its state; of persons and officials for the holder and officers only"), on(a.getCertificate, offers[chainView](pemChain, derCert))},
		{"POST /api/v1/certificates/{serial}/revocation", ender + "; of an authority super administrator", text("吊销证书", "Revoke a certificate; for key compromise all of the same key"), on(a.revokeCertificate)},
		{"POST /api/v1/certificates/{serial}/suspension", ender + ", registrar", text("挂起证书，可设定自动恢复时间；工作人员的挂起计入每小时独自吊销的数量", "Suspend a certificate, until a time or until it is resumed; officers' suspensions count with what they revoke alone within an hour"), on(a.suspendCertificate)},
		{"POST /api/v1/certificates/{serial}/resumption", "approver, business administrator; the holder who suspended it, where the profile allows", text("恢复被挂起的证书", "Let a suspended certificate be used again"), on(a.resumeCertificate)},
		{"POST /api/v1/certificates/{serial}/renewal", replacer, text("更新证书：沿用原密钥，延长有效期", "Apply for a new certificate for the same key"), on(a.renewCertificate, created)},
		{"POST /api/v1/certificates/{serial}/rekey", replacer, text("更换密钥：新密钥，名称不变", "Apply for a certificate for a new key, under the same name"), on(a.rekeyCertificate, created)},
		{"POST /api/v1/certificates/{serial}/change", replacer, text("变更证书信息", "Apply for a certificate with changed facts"), on(a.changeCertificate, created)},
		{"GET /api/v1/certificates/{serial}/challenge", anyone, text("取得须用证书密钥签名的文本，用于报告密钥泄露", "Get the text that whoever has the key signs, to report it as compromised"), on(a.challengeKey)},
		{"POST /api/v1/certificates/{serial}/key-compromise", anyone + " who can sign with the key", text("凭密钥签名报告密钥泄露，相关证书立即吊销", "Revoke all certificates of a key by showing that one has it"), on(a.reportKey, costs(20))},
		{"GET /api/v1/blocked-keys", "registrar, approver, business administrator, audit administrator", text("列出已禁用的密钥", "List blocked keys, newest first"), on(a.listBlockedKeys)},
		{"POST /api/v1/blocked-keys", "approver, business administrator", text("永久禁用密钥", "Block keys for ever"), on(a.blockKeys, costs(5))},
		{"GET /api/v1/mass-revocations", "approver, business administrator, audit administrator", text("列出批量吊销", "List mass revocations, newest first"), on(a.listMass)},
		{"POST /api/v1/mass-revocations", "approver, business administrator", text("提出批量吊销，由另一名人员审核", "Propose to revoke many certificates; another officer decides"), on(a.proposeMass, created, costs(5), large(textBody))},
		{"POST /api/v1/mass-revocations/{id}/decision", "approver, business administrator; not the maker", text("审核批量吊销，通过即执行", "Approve a mass revocation, which carries it out, or reject it"), on(a.decideMass, costs(5))},
		{"PUT /api/v1/subjects/{id}/reminders", "the holder, who represents the entity, registrar, approver", text("设置是否接收到期提醒", "Set whether a holder is reminded before certificates end"), on(a.setReminders)},
	}
}

type recordView struct {
	Serial      string              `json:"serial" doc:"Hexadecimal"`
	Issuer      string              `json:"issuer" doc:"Name of the authority"`
	Profile     string              `json:"profile"`
	Holder      string              `json:"holder"`
	Application string              `json:"application"`
	State       ca.CertificateState `json:"state" enum:"valid,held,revoked,expired"`
	NotBefore   time.Time           `json:"not_before"`
	NotAfter    time.Time           `json:"not_after"`
	IssuedAt    time.Time           `json:"issued_at"`
	Revocation  *revocationView     `json:"revocation,omitempty"`
}

type revocationView struct {
	At           time.Time `json:"at"`
	Reason       string    `json:"reason"`
	InvalidSince time.Time `json:"invalid_since,omitzero"`
	HoldUntil    time.Time `json:"hold_until,omitzero" doc:"When a suspension ends by itself"`
	HeldBy       string    `json:"held_by,omitempty" enum:"holder,officer"`
}

func viewRevocation(r *ca.Revocation) *revocationView {
	if r == nil {
		return nil
	}
	return &revocationView{At: r.At, Reason: r.Reason.String(), InvalidSince: r.Invalid, HoldUntil: r.HoldUntil, HeldBy: r.HeldBy}
}

type certificatesInput struct {
	Paging
	Holder     string              `query:"holder" maxLength:"200" doc:"Subject id; yourself, or whom you act for, if left out"`
	Profile    string              `query:"profile" maxLength:"64"`
	Issuer     string              `query:"issuer" maxLength:"64" doc:"Name of the authority"`
	State      ca.CertificateState `query:"state" enum:"valid,held,revoked,expired"`
	Serial     string              `query:"serial" pattern:"^([0-9a-fA-F]{2}){0,20}$" doc:"Hexadecimal"`
	From       time.Time           `query:"from" doc:"Issued at or after"`
	To         time.Time           `query:"to" doc:"Issued before"`
	EndsBefore time.Time           `query:"ends_before"`
}

func (a *API) findCertificates(ctx context.Context, by actor.Actor, in *certificatesInput) (*body[page[recordView]], error) {
	at, serial, err := in.behind()
	if err != nil {
		return nil, err
	}
	wanted, _ := hex.DecodeString(in.Serial) // the pattern has been checked
	f := ca.CertificateSearch{
		Holder: in.Holder, Profile: in.Profile, Issuer: in.Issuer, State: in.State, Serial: wanted, From: in.From, To: in.To,
		EndsBefore: in.EndsBefore, Before: at, BeforeSerial: serial, Limit: in.Limit,
	}
	if f.Holder == "" && len(by.Roles) == 0 {
		f.Holder, _ = holderOf(by, "")
	}
	rows, err := a.CA.FindCertificates(ctx, by, f)
	if err != nil {
		return nil, err
	}
	return pageOf(rows, in.Limit, func(f ca.Found) recordView { return viewFound(f, a.Now()) }, func(f ca.Found) string {
		return timed(f.IssuedAt) + "." + hex.EncodeToString(f.Serial)
	}), nil
}

// behind reads After as a time and the octets that stand behind a dot.
func (p Paging) behind() (time.Time, []byte, error) {
	micros, last, _ := strings.Cut(p.After, ".")
	octets, err := hex.DecodeString(last)
	if err != nil {
		return time.Time{}, nil, errPage.With("after %q", p.After)
	}
	p.After = micros
	at, err := p.before()
	return at, octets, err
}

func viewFound(f ca.Found, now time.Time) recordView {
	return recordView{
		Serial: hex.EncodeToString(f.Serial), Issuer: f.Issuer, Profile: f.Profile, Holder: f.Holder, Application: f.Application,
		State: f.State(now), NotBefore: f.NotBefore, NotAfter: f.NotAfter, IssuedAt: f.IssuedAt, Revocation: viewRevocation(f.Status),
	}
}

// courseView is the life of a certificate so far.
type courseView struct {
	Profile    string              `json:"profile"`
	State      ca.CertificateState `json:"state" enum:"valid,held,revoked,expired"`
	Revocation *revocationView     `json:"revocation,omitempty"`
	Act        ca.Act              `json:"act,omitempty" enum:"renew,rekey,change" doc:"What it was made for"`
	Replaces   string              `json:"replaces,omitempty" doc:"Serial of the certificate before"`
	ReplacedBy string              `json:"replaced_by,omitempty" doc:"Serial of the certificate after"`
	Successor  string              `json:"successor,omitempty" doc:"Application for the certificate after"`
	Pair       string              `json:"pair,omitempty" doc:"Serial of the certificate issued with it"`
	History    []statusView        `json:"history,omitempty" doc:"Oldest first"`
}

type statusView struct {
	Act    ca.StatusAct `json:"act" enum:"revoke,suspend,resume,void"`
	Reason string       `json:"reason"`
	At     time.Time    `json:"at"`
}

func viewCourse(c ca.Course, now time.Time) courseView {
	v := courseView{
		Profile: c.Profile, State: c.State(now), Revocation: viewRevocation(c.Status), Act: c.Act, Replaces: c.Replaces,
		ReplacedBy: c.ReplacedBy, Successor: c.Successor, Pair: c.Pair,
	}
	for _, e := range c.Events {
		v.History = append(v.History, statusView{e.Act, e.Reason.String(), e.At})
	}
	return v
}

var errReason = fault.New(fault.Invalid, "api.revocation-reason",
	"Give one of the reasons that a certificate can be revoked for, by its name in RFC 5280.", "请按 RFC 5280 的名称给出一个吊销原因。")

type revokeInput struct {
	SerialInput
	Body struct {
		Reason       string    `json:"reason" enum:"unspecified,keyCompromise,cACompromise,affiliationChanged,superseded,cessationOfOperation,privilegeWithdrawn"`
		InvalidSince time.Time `json:"invalid_since,omitzero" doc:"Since when the key is known or suspected to be lost"`
		Pair         bool      `json:"pair,omitempty" doc:"The other certificate of the same application too"`
		Obtained     bool      `json:"obtained,omitempty" doc:"For keyCompromise: also what was obtained with the key by CMP, EST or renewal, and with that. May be asked for when the certificate is revoked already"`
		DryRun       bool      `json:"dry_run,omitempty" doc:"Tell what would be revoked; change nothing"`
		Certificate  string    `json:"certificate,omitempty" maxLength:"32768" doc:"The certificate itself, PEM, for officers: one of ours that the record lost with the newest rows of the database is revoked all the same"`
	}
}

type revokedView struct {
	Revoked []endedItem   `json:"revoked" doc:"The one asked for first, then others of the same key"`
	Also    []relatedItem `json:"also" doc:"What may have to be looked at, and was left alone"`
	More    bool          `json:"more,omitempty" doc:"More was obtained with the key than was looked at; ask again when these are revoked"`
	Second  bool          `json:"second_officer,omitempty" doc:"Of a dry run: more than one officer may revoke alone; propose a mass revocation"`
}

type endedItem struct {
	Serial string    `json:"serial" doc:"Hexadecimal"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

type relatedItem struct {
	Serial  string `json:"serial" doc:"Hexadecimal"`
	Profile string `json:"profile"`
	Why     string `json:"why" enum:"pair,successor,obtained" doc:"Issued with it, replaced it, or asked for with the lost key"`
	Under   string `json:"under,omitempty" doc:"Of an obtained one: serial of the certificate that authorised it"`
}

func viewRevoked(e ca.Ended) *body[revokedView] {
	out := &body[revokedView]{revokedView{Revoked: []endedItem{}, Also: []relatedItem{}, More: e.More, Second: e.Second}}
	for _, r := range e.Revoked {
		out.Body.Revoked = append(out.Body.Revoked, endedItem{hex.EncodeToString(r.Serial), r.At, r.Reason.String()})
	}
	for _, r := range e.Also {
		out.Body.Also = append(out.Body.Also, relatedItem{hex.EncodeToString(r.Serial), r.Profile, r.Why, hex.EncodeToString(r.Under)})
	}
	return out
}

func (a *API) revokeCertificate(ctx context.Context, by actor.Actor, in *revokeInput) (*body[revokedView], error) {
	reason, ok := revocationReason(in.Body.Reason)
	if !ok {
		return nil, errReason
	}
	ended, err := a.CA.End(ctx, by, ca.Ending{
		Serial: in.octets(), Reason: reason, Invalid: in.Body.InvalidSince, Pair: in.Body.Pair, Obtained: in.Body.Obtained, DryRun: in.Body.DryRun,
		Certificate: []byte(in.Body.Certificate),
	})
	return viewRevoked(ended), err
}

func revocationReason(name string) (certs.Reason, bool) {
	for r := certs.ReasonUnspecified; r <= certs.ReasonAACompromise; r++ {
		if r.String() == name {
			return r, true
		}
	}
	return 0, false
}

type suspendInput struct {
	SerialInput
	Body struct {
		Until time.Time `json:"until,omitzero" doc:"When it resumes by itself; left out: not"`
	}
}

func (a *API) suspendCertificate(ctx context.Context, by actor.Actor, in *suspendInput) (*none, error) {
	return nil, a.CA.Suspend(ctx, by, in.octets(), in.Body.Until)
}

func (a *API) resumeCertificate(ctx context.Context, by actor.Actor, in *SerialInput) (*none, error) {
	return nil, a.CA.Resume(ctx, by, in.octets())
}

type replaceInput struct {
	SerialInput
	Key  string `header:"Idempotency-Key" maxLength:"100" doc:"The same key gives the same application; make a random one for each"`
	Body struct {
		CSR   string            `json:"csr,omitempty" maxLength:"65536" doc:"Certificate request (PKCS#10) in PEM; left out, the one of the old certificate serves again, but for a new key"`
		Facts map[string]string `json:"facts,omitempty" doc:"The profile's fields, for a change; left out: as they were"`
		Proof []byte            `json:"proof,omitempty" doc:"Signature of the old certificate's key, DER in base64, over five lines that each end in a line feed: \"Replace this certificate by the attached request.\", the address of the authority ending in /pki, the serial, the act (renew, rekey, change), and the SM3 of the request (DER), both in small hexadecimal. SM2 with the identifier 1234567812345678, other keys with SHA-256"`
	}
}

func (a *API) renewCertificate(ctx context.Context, by actor.Actor, in *replaceInput) (*body[applicationView], error) {
	return a.replaceCertificate(ctx, by, in, ca.ActRenew)
}

func (a *API) rekeyCertificate(ctx context.Context, by actor.Actor, in *replaceInput) (*body[applicationView], error) {
	return a.replaceCertificate(ctx, by, in, ca.ActRekey)
}

func (a *API) changeCertificate(ctx context.Context, by actor.Actor, in *replaceInput) (*body[applicationView], error) {
	return a.replaceCertificate(ctx, by, in, ca.ActChange)
}

func (a *API) replaceCertificate(ctx context.Context, by actor.Actor, in *replaceInput, act ca.Act) (*body[applicationView], error) {
	app, err := a.CA.Renew(ctx, by, ca.Replacement{
		Serial: in.octets(), Act: act, CSR: []byte(strings.TrimSpace(in.Body.CSR)), Facts: in.Body.Facts, Proof: in.Body.Proof, Key: in.Key,
	})
	if err != nil {
		return nil, err
	}
	return &body[applicationView]{viewApplication(app)}, nil
}
