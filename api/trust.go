package api

import (
	"context"
	"encoding/hex"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/internal/actor"
	"hufu/internal/fault"
)

var errPEM = fault.New(fault.Invalid, "api.pem",
	"Give certificates as PEM text, each between its BEGIN and END lines.", "请以 PEM 文本提供证书，每张证书须包含 BEGIN 与 END 行。")

func (a *API) trustRoutes() []route {
	const admins, maker, other = "business administrator, super administrator, audit administrator", "business administrator", "business administrator, not the maker"
	return []route{
		{"GET /api/v1/trust-list", anyone, text("查看信任清单", "Get the trust list in force: other CAs, and what for"), on(a.getTrustList)},
		{"GET /api/v1/trust-list/versions", anyone, text("列出信任清单的历次版本", "List the versions of the trust list, newest first"), on(a.listTrustVersions)},
		{"GET /api/v1/trust-list/sources", admins, text("列出其他机构的吊销列表及获取情况", "List the revocation lists of other CAs and how they stand"), on(a.listForeign)},
		{"GET /api/v1/trust-list/proposals", admins, text("列出信任清单变更", "List proposed changes of the trust list, newest first"), on(a.listTrustProposals)},
		{"POST /api/v1/trust-list/proposals", maker, text("提出信任清单变更", "Propose changes of the trust list"), on(a.proposeTrust, created, large(1<<20))},
		{"POST /api/v1/trust-list/imports", maker, text("导入其他机构签名的信任清单", "Propose what another's signed list says"), on(a.importTrust, created, large(textBody))},
		{"POST /api/v1/trust-list/undo", maker, text("提出恢复信任清单的历史版本", "Propose to bring an older version back"), on(a.undoTrust, created)},
		{"GET /api/v1/trust-list/proposals/{id}", admins, text("查看变更及差异", "Get a proposal with its differences"), on(a.getTrustProposal)},
		{"POST /api/v1/trust-list/proposals/{id}/decision", other, text("审核信任清单变更", "Approve or reject a proposal"), on(a.decideTrust)},
		{"POST /api/v1/trust-list/proposals/{id}/publish", maker, text("发布信任清单新版本", "Sign and publish the next version with an approved proposal"), on(a.publishTrust)},
	}
}

type trustListView struct {
	Sequence   uint64              `json:"sequence"`
	IssuedAt   time.Time           `json:"issued_at,omitzero"`
	NextUpdate time.Time           `json:"next_update,omitzero"`
	SM3        string              `json:"sm3,omitempty" doc:"Of the JSON that is signed, hexadecimal"`
	Entries    []bundle.TrustEntry `json:"entries,omitempty"`
}

func viewTrustList(l ca.StoredTrustList) trustListView {
	return trustListView{Sequence: l.Sequence, IssuedAt: l.IssuedAt, NextUpdate: l.NextUpdate, SM3: l.Digest}
}

func (a *API) getTrustList(ctx context.Context, _ actor.Actor, _ *struct{}) (*body[trustListView], error) {
	stored, list, err := a.CA.TrustList(ctx, 0)
	if fault.KindOf(err) == fault.NotFound {
		return &body[trustListView]{}, nil
	}
	if err != nil {
		return nil, err
	}
	v := viewTrustList(stored)
	v.Entries = list.Entries
	return &body[trustListView]{v}, nil
}

func (a *API) listTrustVersions(ctx context.Context, _ actor.Actor, _ *struct{}) (*body[page[trustListView]], error) {
	all, err := a.CA.TrustVersions(ctx)
	if err != nil {
		return nil, err
	}
	return pageOf(all, 0, viewTrustList, nil), nil
}

type foreignListView struct {
	URL        string    `json:"url"`
	Entry      string    `json:"entry,omitempty" doc:"Of the trust list; absent: of a superior of ours"`
	ThisUpdate time.Time `json:"this_update,omitzero"`
	NextUpdate time.Time `json:"next_update,omitzero"`
	FetchedAt  time.Time `json:"fetched_at,omitzero"`
	TriedAt    time.Time `json:"tried_at,omitzero"`
	Size       int       `json:"size" doc:"Octets"`
	Failure    string    `json:"failure,omitempty" doc:"Of the last try"`
	Over       bool      `json:"over,omitempty" doc:"There is no list that still counts"`
}

func (a *API) listForeign(ctx context.Context, by actor.Actor, _ *struct{}) (*body[page[foreignListView]], error) {
	if err := by.Require(actor.RoleBusinessAdmin, actor.RoleSuperAdmin, actor.RoleAuditAdmin); err != nil {
		return nil, err
	}
	all, err := ca.ForeignStatuses(ctx, a.CA.Store, a.CA.Now())
	if err != nil {
		return nil, err
	}
	return pageOf(all, 0, func(s ca.ForeignStatus) foreignListView {
		return foreignListView{s.URL, s.Entry, s.ThisUpdate, s.NextUpdate, s.FetchedAt, s.TriedAt, s.Size, s.Failure, s.Over}
	}, nil), nil
}

// MotionView is what one administrator proposes and others decide.
type MotionView struct {
	ID       string    `json:"id"`
	State    string    `json:"state" enum:"proposed,approved,in-force,rejected,withdrawn,requested"`
	Reason   string    `json:"reason"`
	Maker    string    `json:"maker" doc:"Subject id"`
	Checkers []string  `json:"checkers,omitempty"`
	At       time.Time `json:"at"`
	Changed  time.Time `json:"changed"`
	Entries  []string  `json:"entries,omitempty"`
	Source   string    `json:"source,omitempty" doc:"Series of the foreign list"`
	Sequence uint64    `json:"sequence,omitempty" doc:"Of the foreign list, or of the version that comes back"`
	Signer   string    `json:"signer_sm3,omitempty" doc:"SM3 of the public key that signed the foreign list, hexadecimal"`
	New      bool      `json:"new_source,omitempty" doc:"The series was not known: publishing pins its signer. Compare signer_sm3 with its publisher before approving"`
	Left     []string  `json:"left_out,omitempty" doc:"Entries of the foreign list that are our own authorities"`

	Differences []entryDifferenceView `json:"differences,omitempty"`
}

type entryDifferenceView struct {
	Entry  string      `json:"entry"`
	Act    string      `json:"act" enum:"add,change,remove"`
	Fields []fieldView `json:"fields"`
}

type fieldView struct {
	Field string `json:"field"`
	Old   string `json:"old,omitempty"`
	New   string `json:"new,omitempty"`
}

func viewMotion(m ca.Motion) MotionView {
	return MotionView{ID: m.ID, State: string(m.State), Reason: m.Reason, Maker: m.Maker, Checkers: m.Checkers, At: m.At, Changed: m.Changed}
}

func viewProposal(p ca.TrustProposal) MotionView {
	v := viewMotion(p.Motion)
	v.Source, v.Sequence, v.New, v.Left = p.Source, p.Sequence, p.New, p.Left
	v.Signer = p.Fingerprint()
	for _, c := range p.Changes {
		if c.Put != nil {
			v.Entries = append(v.Entries, c.Put.ID)
		} else {
			v.Entries = append(v.Entries, c.Remove)
		}
	}
	return v
}

func proposal(p ca.TrustProposal, err error) (*body[MotionView], error) {
	if err != nil {
		return nil, err
	}
	return &body[MotionView]{viewProposal(p)}, nil
}

func (a *API) listTrustProposals(ctx context.Context, by actor.Actor, _ *struct{}) (*body[page[MotionView]], error) {
	all, err := a.CA.TrustProposals(ctx, by, "")
	if err != nil {
		return nil, err
	}
	return pageOf(all, 0, viewProposal, nil), nil
}

func (a *API) getTrustProposal(ctx context.Context, by actor.Actor, in *IDInput) (*body[MotionView], error) {
	p, all, err := a.CA.TrustProposal(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	v := viewProposal(p)
	for _, d := range all {
		one := entryDifferenceView{Entry: d.Entry, Act: d.Act, Fields: []fieldView{}}
		for _, f := range d.Fields {
			one.Fields = append(one.Fields, fieldView{f.Field, f.Old, f.New})
		}
		v.Differences = append(v.Differences, one)
	}
	return &body[MotionView]{v}, nil
}

type trustInput struct {
	Body struct {
		Put    []bundle.TrustEntry `json:"put,omitempty" maxItems:"100" doc:"Entries to add or to replace"`
		Remove []string            `json:"remove,omitempty" maxItems:"100" doc:"Ids of entries"`
		Reason string              `json:"reason" minLength:"1" maxLength:"500"`
	}
}

func (a *API) proposeTrust(ctx context.Context, by actor.Actor, in *trustInput) (*body[MotionView], error) {
	var changes []ca.TrustChange
	for i := range in.Body.Put {
		changes = append(changes, ca.TrustChange{Put: &in.Body.Put[i]})
	}
	for _, id := range in.Body.Remove {
		changes = append(changes, ca.TrustChange{Remove: id})
	}
	return proposal(a.CA.ProposeTrust(ctx, by, changes, in.Body.Reason))
}

type trustImportInput struct {
	Body struct {
		List   []byte `json:"list" doc:"The signed list, base64"`
		Key    string `json:"key,omitempty" maxLength:"10000" doc:"Public key or certificate of its signer, PEM; needed for the first list of a series"`
		Reason string `json:"reason" minLength:"1" maxLength:"500"`
	}
}

func (a *API) importTrust(ctx context.Context, by actor.Actor, in *trustImportInput) (*body[MotionView], error) {
	return proposal(a.CA.ImportTrust(ctx, by, in.Body.List, []byte(in.Body.Key), in.Body.Reason))
}

type trustUndoInput struct {
	Body struct {
		Sequence uint64 `json:"sequence" minimum:"1"`
		Reason   string `json:"reason" minLength:"1" maxLength:"500"`
	}
}

func (a *API) undoTrust(ctx context.Context, by actor.Actor, in *trustUndoInput) (*body[MotionView], error) {
	return proposal(a.CA.UndoTrust(ctx, by, in.Body.Sequence, in.Body.Reason))
}

// MotionDecision is a decision on a motion.
type MotionDecision struct {
	IDInput
	Body struct {
		Approve bool   `json:"approve"`
		Reason  string `json:"reason,omitempty" maxLength:"500" doc:"Needed for a rejection"`
	}
}

func (a *API) decideTrust(ctx context.Context, by actor.Actor, in *MotionDecision) (*body[MotionView], error) {
	return proposal(a.CA.DecideTrust(ctx, by, in.ID, in.Body.Approve, in.Body.Reason))
}

func (a *API) publishTrust(ctx context.Context, by actor.Actor, in *IDInput) (*body[trustListView], error) {
	l, err := a.CA.PublishTrust(ctx, by, in.ID)
	if err != nil {
		return nil, err
	}
	return &body[trustListView]{viewTrustList(l)}, nil
}

// certificatesOf reads all certificates of a PEM text.
func certificatesOf(pem string) (all [][]byte, err error) {
	rest := []byte(pem)
	for {
		var der []byte
		if der, rest = nextCertificate(rest); der == nil {
			break
		}
		if _, err := certs.ParseLenient(der); err != nil {
			return nil, errPEM.With("%w", err)
		}
		all = append(all, der)
	}
	if len(all) == 0 {
		return nil, errPEM.With("%d octets", len(pem))
	}
	return all, nil
}

func hexOf(sum [32]byte) string { return hex.EncodeToString(sum[:]) }
