package api

import (
	"context"
	"time"

	"hufu/ca/kmc"
	"hufu/certs"
	"hufu/internal/actor"
)

func (a *API) recoveryRoutes() []route {
	const officers = "recovery officer; of a judicial one also super administrator or audit administrator as witness; not who asked, not the holder"
	return []route{
		{"GET /api/v1/encryption-keys", "the holder, whoever acts for it, officers", text("列出主体的全部加密密钥（密钥历史）", "List all encryption keys that a holder ever got, newest first"), on(a.keyHistory)},
		{"GET /api/v1/encryption-keys/pool", "administrators, recovery officer", text("查看密钥池", "Tell how the pool of encryption keys stands"), on(a.keyPool)},
		{"POST /api/v1/recoveries", "the holder, registrar; judicial: business administrator", text("申请恢复加密密钥", "Ask for the recovery of encryption keys"), on(a.requestRecovery, created)},
		{"GET /api/v1/recoveries", "the own ones; recovery officer, super administrator, audit administrator all", text("列出密钥恢复申请", "List recoveries, newest first"), on(a.listRecoveries)},
		{"GET /api/v1/recoveries/{id}", "who asked, the holder unless it is judicial, recovery officer, super administrator, audit administrator", text("查看密钥恢复申请", "Get a recovery"), on(a.getRecovery)},
		{"POST /api/v1/recoveries/{id}/decision", officers, text("审批密钥恢复申请", "Approve or reject a recovery"), on(a.decideRecovery)},
		{"POST /api/v1/recoveries/{id}/cancel", "who asked, the holder", text("取消密钥恢复申请", "Cancel a recovery that is not delivered"), on(a.cancelRecovery)},
		{"POST /api/v1/recoveries/{id}/take", "who asked, the holder", text("领取恢复的密钥（仅一次）", "Take the recovered keys, once; the same receipt gives the same for ten minutes"), on(a.takeRecovery, costs(5))},
	}
}

type historyInput struct {
	Holder string `query:"holder" maxLength:"200" doc:"Subject id; yourself, or whom you act for, if left out"`
}

type keyHistoryView struct {
	Key         string    `json:"key"`
	Serials     []string  `json:"serials" doc:"Of its certificates, hexadecimal, the newest last"`
	Profile     string    `json:"profile,omitempty"`
	Public      string    `json:"public_sm3" doc:"SM3 of the public point, hexadecimal"`
	NotAfter    time.Time `json:"not_after,omitzero"`
	At          time.Time `json:"at"`
	Recoverable bool      `json:"recoverable" doc:"In escrow"`
}

func viewEscrowed(e kmc.Entry) keyHistoryView {
	return keyHistoryView{
		Key: e.Key, Serials: e.Serials, Profile: e.Profile, Public: kmc.Print(e.Public), NotAfter: e.NotAfter, At: e.At, Recoverable: e.Recoverable,
	}
}

func (a *API) keyHistory(ctx context.Context, by actor.Actor, in *historyInput) (*body[page[keyHistoryView]], error) {
	if in.Holder == "" {
		in.Holder, _ = holderOf(by, "")
	}
	all, err := a.Centre.History(ctx, by, in.Holder)
	return pageOf(all, 0, viewEscrowed, nil), err
}

type poolView struct {
	Level int `json:"level" doc:"Pairs to be kept ready, of each process"`
	Ready int `json:"ready" doc:"Pairs that the answering process has ready"`
	Held  int `json:"held" doc:"Keys in escrow for this authority"`
}

func (a *API) keyPool(ctx context.Context, by actor.Actor, _ *struct{}) (*body[poolView], error) {
	s, err := a.Centre.Pool(ctx, by)
	return &body[poolView]{poolView{s.Level, s.Ready, s.Held}}, err
}

type legalView struct {
	Number    string `json:"number" maxLength:"200"`
	Authority string `json:"authority" maxLength:"200"`
	SM3       string `json:"sm3" pattern:"^[0-9a-fA-F]{64}$" doc:"Of the document, hexadecimal"`
}

type recoveryInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"100" doc:"The same key gives the same recovery; make a random one for each"`
	Body struct {
		Kind        kmc.Kind   `json:"kind" enum:"holder,judicial"`
		Holder      string     `json:"holder,omitempty" maxLength:"200" doc:"Subject id; yourself, or whom you act for, if left out"`
		Serials     []string   `json:"serials,omitempty" maxItems:"64" doc:"Of encryption certificates, hexadecimal; all of the holder's keys if left out"`
		Reason      string     `json:"reason" minLength:"1" maxLength:"600"`
		Recipient   string     `json:"recipient,omitempty" maxLength:"40" doc:"For the holder: serial of the holder's new signing certificate, hexadecimal"`
		Certificate string     `json:"certificate,omitempty" maxLength:"16384" doc:"Judicial: SM2 certificate of the authority that receives, PEM"`
		Order       *legalView `json:"order,omitempty" doc:"Judicial: the legal document"`
	}
}

func (a *API) requestRecovery(ctx context.Context, by actor.Actor, in *recoveryInput) (*body[recoveryView], error) {
	b := in.Body
	q := kmc.Ask{Kind: b.Kind, Subject: b.Holder, Serials: b.Serials, Why: b.Reason, Key: in.Key}
	if q.Subject == "" {
		q.Subject, _ = holderOf(by, "")
	}
	if b.Order != nil {
		q.Order = kmc.Legal{Number: b.Order.Number, Authority: b.Order.Authority, SM3: b.Order.SM3}
	}
	if b.Certificate != "" {
		der, err := certs.DecodePEM([]byte(b.Certificate), "CERTIFICATE")
		if err != nil {
			return nil, kmc.ErrOrder.With("certificate: %w", err)
		}
		q.Certificate = der
	}
	if b.Recipient != "" {
		chain, err := a.CA.Chain(ctx, by, b.Recipient)
		if err != nil {
			return nil, err
		}
		if q.Recipient, err = kmc.Recipient(chain[0]); err != nil {
			return nil, err
		}
	}
	r, err := a.Centre.Request(ctx, by, q)
	return &body[recoveryView]{viewRecovery(r)}, err
}

type recoveryView struct {
	ID        string         `json:"id"`
	Kind      kmc.Kind       `json:"kind" enum:"holder,judicial"`
	Holder    string         `json:"holder"`
	State     kmc.Progress   `json:"state" enum:"requested,approved,delivered,rejected,cancelled,expired"`
	Serials   []string       `json:"serials" doc:"Newest certificate of each key"`
	Reason    string         `json:"reason" doc:"Why it was asked for"`
	Order     *legalView     `json:"order,omitempty"`
	Recipient string         `json:"recipient_sm3" doc:"SM3 of the public point that receives, hexadecimal"`
	Maker     ActorView      `json:"maker"`
	Approvals []approvalView `json:"approvals,omitempty"`
	Rejection string         `json:"rejection,omitempty"`
	At        time.Time      `json:"at"`
	Until     time.Time      `json:"until,omitzero" doc:"When it expires"`
	DecidedAt time.Time      `json:"decided_at,omitzero"`
	Delivered time.Time      `json:"delivered_at,omitzero"`
}

type approvalView struct {
	Officer ActorView `json:"officer"`
	Witness bool      `json:"witness,omitempty"`
	At      time.Time `json:"at"`
}

func viewRecovery(r kmc.Recovery) recoveryView {
	v := recoveryView{
		ID: r.ID, Kind: r.Kind, Holder: r.Subject, State: r.State, Serials: r.Serials, Reason: r.Why, Recipient: kmc.Print(r.Recipient),
		Maker: viewActor(r.Maker), Rejection: r.Reason, At: r.At, DecidedAt: r.Decided, Delivered: r.Delivered,
	}
	if r.State == kmc.Requested || r.State == kmc.Approved {
		v.Until = r.Until
	}
	if r.Kind == kmc.Judicial {
		v.Order = &legalView{r.Order.Number, r.Order.Authority, r.Order.SM3}
	}
	for _, one := range r.Approvals {
		v.Approvals = append(v.Approvals, approvalView{viewActor(one.Officer), one.Witness, one.At})
	}
	return v
}

type recoveriesInput struct {
	Paging
	State  kmc.Progress `query:"state" enum:"requested,approved,delivered,rejected,cancelled,expired"`
	Kind   kmc.Kind     `query:"kind" enum:"holder,judicial"`
	Holder string       `query:"holder" maxLength:"200"`
}

func (a *API) listRecoveries(ctx context.Context, by actor.Actor, in *recoveriesInput) (*body[page[recoveryView]], error) {
	before, err := in.before()
	if err != nil {
		return nil, err
	}
	all, err := a.Centre.Recoveries(ctx, by, kmc.RecoveryFilter{State: in.State, Kind: in.Kind, Subject: in.Holder, Before: before, Limit: in.Limit})
	if err != nil {
		return nil, err
	}
	return pageOf(all, in.Limit, viewRecovery, func(r kmc.Recovery) string { return timed(r.At) }), nil
}

func (a *API) getRecovery(ctx context.Context, by actor.Actor, in *IDInput) (*body[recoveryView], error) {
	r, err := a.Centre.Recovery(ctx, by, in.ID)
	return &body[recoveryView]{viewRecovery(r)}, err
}

type decideRecoveryInput struct {
	IDInput
	Body decision
}

func (a *API) decideRecovery(ctx context.Context, by actor.Actor, in *decideRecoveryInput) (*body[recoveryView], error) {
	r, err := a.Centre.Decide(ctx, by, in.ID, in.Body.Approve, in.Body.Reason)
	return &body[recoveryView]{viewRecovery(r)}, err
}

func (a *API) cancelRecovery(ctx context.Context, by actor.Actor, in *IDInput) (*body[recoveryView], error) {
	r, err := a.Centre.Cancel(ctx, by, in.ID)
	return &body[recoveryView]{viewRecovery(r)}, err
}

type takeInput struct {
	IDInput
	Body struct {
		Receipt string `json:"receipt" minLength:"16" maxLength:"100" doc:"Random, of your own choice: if the answer is lost, ask again with the same one"`
	}
}

type takenView struct {
	Recovery recoveryView    `json:"recovery"`
	Keys     []recoveredView `json:"keys"`
}

type recoveredView struct {
	Key      string `json:"key"`
	Serial   string `json:"serial" doc:"Newest certificate, hexadecimal"`
	Envelope []byte `json:"envelope" doc:"Private key enveloped to the recipient (SM2EnvelopedKey, GB/T 35276), DER in base64"`
}

func (a *API) takeRecovery(ctx context.Context, by actor.Actor, in *takeInput) (*body[takenView], error) {
	r, err := a.Centre.Take(ctx, by, in.ID, in.Body.Receipt)
	if err != nil {
		return nil, err
	}
	out := &body[takenView]{takenView{Recovery: viewRecovery(r), Keys: []recoveredView{}}}
	for _, k := range r.Keys {
		out.Body.Keys = append(out.Body.Keys, recoveredView{k.Key, k.Serial, k.Envelope})
	}
	return out, nil
}

// deliverPair puts what belongs to an encryption key into an answer: the response of GM/T 0092 with SM2EnvelopedKey, or the key
// in the form of CFCA, whichever was asked for by the request.
func (v *issuedView) deliverPair(leaves []*certs.Certificate, envelope []byte) error {
	if len(envelope) == 0 || len(leaves) != 2 {
		return nil
	}
	if _, err := certs.ParseEnvelopedKey(envelope); err != nil {
		v.CFCA = string(envelope)
		return nil
	}
	response, err := certs.BuildDualResponse(leaves[0], envelope, leaves[1])
	v.Envelope, v.Response = envelope, response
	return err
}
