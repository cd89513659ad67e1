package api

import (
	"context"
	"time"

	"hufu/audit"
	"hufu/internal/actor"
)

type entryView struct {
	ID        string            `json:"id"`
	At        time.Time         `json:"at"`
	Action    string            `json:"action"`
	Kind      string            `json:"kind" doc:"Of the object"`
	Object    string            `json:"object,omitempty" doc:"Id of the object"`
	Actor     string            `json:"actor"`
	For       string            `json:"for,omitempty"`
	Via       string            `json:"via,omitempty" doc:"Id of the application"`
	Public    map[string]string `json:"public,omitempty"`
	Subject   string            `json:"subject,omitempty" doc:"Whose key seals the personal part"`
	Sequenced bool              `json:"sequenced"`
	Index     *uint64           `json:"index,omitempty" doc:"In the tree, once sequenced"`
	Intact    bool              `json:"intact" doc:"false: somebody changed the row behind the program's back"`
	Opened    bool              `json:"opened" doc:"The personal part follows"`
	Erased    bool              `json:"erased" doc:"The personal part cannot be read any more"`
	Personal  map[string]string `json:"personal,omitempty"`
	Session   string            `json:"session,omitempty"`
	Peer      string            `json:"peer,omitempty"`
	Roles     []string          `json:"roles,omitempty"`
}

func viewEntry(f audit.Found) entryView {
	v := entryView{
		ID: f.ID, At: f.At, Action: f.Action, Kind: f.Object.Kind, Object: f.Object.ID, Actor: f.Actor, For: f.For, Via: f.Via,
		Public: f.Public, Subject: f.Subject, Sequenced: f.Sequenced, Intact: f.Intact, Opened: f.Opened, Erased: f.Erased,
		Personal: f.Personal, Session: f.Session, Peer: f.Peer, Roles: f.Roles,
	}
	if f.Sequenced {
		v.Index = &f.Index
	}
	return v
}

type entriesInput struct {
	Paging
	Actor    string    `query:"actor" maxLength:"200" doc:"person: and the id, for example"`
	Action   string    `query:"action" maxLength:"100" doc:"certificate.issue; with a dot at the end all of a noun"`
	Kind     string    `query:"kind" maxLength:"100" doc:"Of the object"`
	Object   string    `query:"object" maxLength:"200" doc:"Id of the object; needs kind"`
	Subject  string    `query:"subject" maxLength:"200" doc:"Whose key seals the entries; your own id shows your own"`
	From     time.Time `query:"from" doc:"Not before"`
	To       time.Time `query:"to" doc:"Before"`
	Personal bool      `query:"personal" doc:"Open the sealed parts; that is itself recorded"`
}

func (a *API) searchEntries(ctx context.Context, by actor.Actor, in *entriesInput) (*body[page[entryView]], error) {
	p, err := a.Audit.Search(ctx, by, audit.Query{
		Actor: in.Actor, Action: in.Action, Object: audit.Object{Kind: in.Kind, ID: in.Object}, Subject: in.Subject,
		From: in.From, To: in.To, After: in.After, Limit: in.Limit, Personal: in.Personal,
	})
	out := pageOf(p.Entries, 0, viewEntry, nil)
	out.Body.Next = p.Next
	return out, err
}

func (a *API) entryProof(ctx context.Context, _ actor.Actor, in *IDInput) (*body[proofView], error) {
	proof, err := a.Audit.Proof(ctx, in.ID)
	return &body[proofView]{proofView{string(proof.Text())}}, err
}

func (a *API) erase(ctx context.Context, by actor.Actor, in *IDInput) (*none, error) {
	return nil, a.Audit.Erase(ctx, by, in.ID)
}
