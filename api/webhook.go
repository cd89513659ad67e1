package api

import (
	"context"
	"time"

	"hufu/audit/webhook"
	"hufu/internal/actor"
)

func (a *API) webhookRoutes() []route {
	const business, readers = "business administrator", "business administrator, audit administrator"
	return []route{
		{"POST /api/v1/subscriptions", business, text("订阅事件通知", "Have the acts that the log records told to an address, as messages signed with SM2"), on(a.subscribe, created)},
		{"GET /api/v1/subscriptions", readers, text("列出事件订阅", "List subscriptions, oldest first, and how far each has been told"), on(a.listSubscriptions)},
		{"GET /api/v1/subscriptions/key", anyone, text("下载事件通知的签名证书", "Get the certificate whose key signs the messages, and its chain, as PEM"), on(a.webhookKey, gives(pemFile))},
		{"GET /api/v1/subscriptions/{id}", readers, text("查看事件订阅", "Get a subscription"), on(a.getSubscription)},
		{"POST /api/v1/subscriptions/{id}/trial", business, text("试发一条空消息", "Send a message without events at once"), on(a.trySubscription, costs(10))},
		{"POST /api/v1/subscriptions/{id}/pause", business, text("暂停事件订阅（不丢失事件）", "Stop a subscription for a while; nothing is lost"), on(a.pauseSubscription)},
		{"POST /api/v1/subscriptions/{id}/resume", business, text("恢复事件订阅", "Let a paused subscription go on where it stopped"), on(a.resumeSubscription)},
		{"DELETE /api/v1/subscriptions/{id}", business, text("终止事件订阅", "End a subscription for ever"), on(a.endSubscription)},
	}
}

type subscriptionView struct {
	ID        string        `json:"id"`
	Name      string        `json:"name"`
	URL       string        `json:"url"`
	Actions   []string      `json:"actions,omitempty" doc:"None: all"`
	State     webhook.State `json:"state" enum:"active,paused,ended"`
	Reason    string        `json:"reason,omitempty" doc:"Why it is paused"`
	Maker     string        `json:"maker"`
	At        time.Time     `json:"at"`
	Next      uint64        `json:"next" doc:"Index of the log's entry to look at next"`
	Sent      uint64        `json:"sent" doc:"Events that the receiver has taken"`
	LastSent  time.Time     `json:"last_sent,omitzero"`
	Failing   time.Time     `json:"failing,omitzero" doc:"Since when the receiver refuses"`
	Tries     int           `json:"tries,omitempty" doc:"That failed in a row"`
	NotBefore time.Time     `json:"not_before,omitzero" doc:"Of the next try"`
	LastError string        `json:"last_error,omitempty"`
}

func viewSubscription(s webhook.Subscription) subscriptionView {
	v := subscriptionView{
		ID: s.ID, Name: s.Name, URL: s.URL, Actions: s.Actions, State: s.State, Reason: s.Reason, Maker: s.Maker, At: s.At, Next: s.Next,
		Sent: s.Sent, LastSent: s.LastSent, Failing: s.Failing, Tries: s.Tries, LastError: s.LastError,
	}
	if s.Tries > 0 {
		v.NotBefore = s.NotBefore
	}
	return v
}

type subscribeInput struct {
	Body struct {
		Name      string   `json:"name" minLength:"1" maxLength:"100"`
		URL       string   `json:"url" maxLength:"2000" doc:"https; http for this machine alone"`
		Actions   []string `json:"actions,omitempty" maxItems:"50" doc:"Such as certificate.issue, or certificate. for all of a kind; all, if left out"`
		FromStart bool     `json:"from_start,omitempty" doc:"Tell the whole log, not only what comes next"`
	}
}

func (a *API) subscribe(ctx context.Context, by actor.Actor, in *subscribeInput) (*body[subscriptionView], error) {
	s, err := a.Webhooks.Subscribe(ctx, by, webhook.Order{Name: in.Body.Name, URL: in.Body.URL, Actions: in.Body.Actions, FromStart: in.Body.FromStart})
	return &body[subscriptionView]{viewSubscription(s)}, err
}

func (a *API) listSubscriptions(ctx context.Context, by actor.Actor, _ *struct{}) (*body[page[subscriptionView]], error) {
	all, err := a.Webhooks.Subscriptions(ctx, by)
	return pageOf(all, 0, viewSubscription, nil), err
}

func (a *API) getSubscription(ctx context.Context, by actor.Actor, in *IDInput) (*body[subscriptionView], error) {
	s, err := a.Webhooks.Subscription(ctx, by, in.ID)
	return &body[subscriptionView]{viewSubscription(s)}, err
}

type trialView struct {
	Status int `json:"status" doc:"Of the receiver's answer (HTTP)"`
}

func (a *API) trySubscription(ctx context.Context, by actor.Actor, in *IDInput) (*body[trialView], error) {
	status, err := a.Webhooks.Try(ctx, by, in.ID)
	return &body[trialView]{trialView{status}}, err
}

type pauseInput struct {
	IDInput
	Body struct {
		Reason string `json:"reason,omitempty" maxLength:"600"`
	}
}

func (a *API) pauseSubscription(ctx context.Context, by actor.Actor, in *pauseInput) (*none, error) {
	return nil, a.Webhooks.Pause(ctx, by, in.ID, in.Body.Reason)
}

func (a *API) resumeSubscription(ctx context.Context, by actor.Actor, in *IDInput) (*none, error) {
	return nil, a.Webhooks.Resume(ctx, by, in.ID)
}

func (a *API) endSubscription(ctx context.Context, by actor.Actor, in *IDInput) (*none, error) {
	return nil, a.Webhooks.End(ctx, by, in.ID)
}

// webhookKey gives what receivers check messages with.
func (a *API) webhookKey(ctx context.Context, _ actor.Actor, _ *struct{}) (*file, error) {
	chain, err := a.WebhookKey(ctx)
	if err != nil {
		return nil, err
	}
	return &file{Type: pemFile, Disposition: attachment("webhook.pem"), Body: pems(chain)}, nil
}
