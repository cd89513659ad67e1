package api

import (
	"context"
	"strconv"
	"time"

	"hufu/internal/actor"
	"hufu/internal/fault"
)

var errPage = fault.New(fault.Invalid, "api.page",
	"This page of the list does not exist. Start at the first one.", "列表页码无效，请从第一页重新查询。")

// body is an answer of JSON.
type body[T any] struct{ Body T }

// none is an answer without a body.
type none struct{}

// page is a page of a list.
type page[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty" doc:"Give it as after to get the next page; absent on the last one"`
}

// file is an answer of another kind than JSON.
type file struct {
	Type        string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Body        []byte
}

// choice is JSON or a file (octets), whichever was asked for.
type choice struct {
	Type string `header:"Content-Type"`
	Body any
}

// attachment names a file for whoever saves it; name is of our own making.
func attachment(name string) string { return `attachment; filename="` + name + `"` }

// Paging is how lists are asked for page by page.
type Paging struct {
	After string `query:"after" maxLength:"200" doc:"next of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"100" default:"50"`
}

// before reads After as the time that timed wrote.
func (p Paging) before() (time.Time, error) {
	if p.After == "" {
		return time.Time{}, nil
	}
	micros, err := strconv.ParseInt(p.After, 10, 64)
	if err != nil {
		return time.Time{}, errPage.With("after %q", p.After)
	}
	return time.UnixMicro(micros).UTC(), nil
}

// pageOf makes a page of rows; of a full one the next begins after the last row. Limit 0 says that there is no next.
func pageOf[R, V any](rows []R, limit int, view func(R) V, position func(R) string) *body[page[V]] {
	out := &body[page[V]]{page[V]{Items: make([]V, 0, len(rows))}}
	for _, row := range rows {
		out.Body.Items = append(out.Body.Items, view(row))
	}
	if limit > 0 && len(rows) == limit {
		out.Body.Next = position(rows[len(rows)-1])
	}
	return out
}

func timed(t time.Time) string { return strconv.FormatInt(t.UnixMicro(), 10) }

// IDInput names one thing by its id. It and the other embedded inputs are exported because huma passes over embedded types
// that are not.
type IDInput struct {
	ID string `path:"id" maxLength:"200"`
}

// reasonInput gives a reason for what is done to one thing.
type reasonInput struct {
	IDInput
	Body reasonBody
}

type reasonBody struct {
	Reason string `json:"reason" minLength:"1" maxLength:"600" doc:"A code or a file reference; no personal data"`
}

// because is a change of state with a reason.
func because(change func(ctx context.Context, by actor.Actor, id, reason string) error) func(context.Context, actor.Actor, *reasonInput) (*none, error) {
	return func(ctx context.Context, by actor.Actor, in *reasonInput) (*none, error) {
		return nil, change(ctx, by, in.ID, in.Body.Reason)
	}
}

// decision is what a checker decides.
type decision struct {
	Approve bool   `json:"approve"`
	Reason  string `json:"reason,omitempty" maxLength:"600" doc:"Needed when approve is false"`
}

// ActorView is who did something, as others may see it.
type ActorView struct {
	Subject      string         `json:"subject"`
	Name         string         `json:"name,omitempty"`
	Capacity     actor.Capacity `json:"capacity"`
	Organization string         `json:"organization,omitempty" doc:"Id of whom the actor acted for"`
	Client       string         `json:"client,omitempty" doc:"Id of the application through which the actor called"`
}

func viewActor(a actor.Actor) ActorView {
	return ActorView{Subject: a.Subject, Name: a.Name, Capacity: a.Capacity, Organization: a.For, Client: a.Client}
}
