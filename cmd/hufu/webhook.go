package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"text/tabwriter"
	"time"

	"hufu/audit/webhook"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/gm"
	"hufu/internal/outbound"
)

// webhookService names the profile and the key of whoever signs event messages.
const webhookService = "webhook"

// openWebhooks opens what tells other systems what the log records.
func (s *server) openWebhooks() (err error) {
	s.webhooks, err = webhook.New(webhook.Config{Store: s.db.Webhooks(), Sign: s.signMessage, HTTP: s.callOut(), Now: s.now})
	return err
}

// callOut is the client for calls to other systems: public addresses, what the configuration allows, and this machine
// alone for a demonstration.
func (s *server) callOut() *http.Client {
	allow := s.cfg.outbound()
	if s.demo != nil {
		allow = append(allow, outbound.Loopback()...)
	}
	return outbound.NewClient(outbound.Options{Allow: allow, Timeout: 10 * time.Second})
}

// badOutbound returns the first of Outbound that is no address range.
func (c *Config) badOutbound() string {
	for _, text := range c.Outbound {
		if _, err := netip.ParsePrefix(text); err != nil {
			return text
		}
	}
	return ""
}

// outbound returns the ranges, which check has found good.
func (c *Config) outbound() (all []netip.Prefix) {
	for _, text := range c.Outbound {
		if p, err := netip.ParsePrefix(text); err == nil {
			all = append(all, p.Masked())
		}
	}
	return all
}

func (s *server) signMessage(ctx context.Context, message []byte) (signature []byte, key string, err error) {
	service, err := s.ca.Service(ctx, actor.ForSystem(webhookService), webhookService)
	if err != nil {
		return nil, "", err
	}
	_, signature, err = certs.Sign(service.Signer, message)
	hash := gm.SM3(service.Certificate.RawSPKI)
	return signature, hex.EncodeToString(hash[:]), err
}

// webhookKey is the certificate that receivers check messages with, and those above it.
func (s *server) webhookKey(ctx context.Context) ([]*certs.Certificate, error) {
	by := actor.ForSystem(webhookService)
	service, err := s.ca.Service(ctx, by, webhookService)
	if err != nil {
		return nil, err
	}
	return s.ca.Chain(ctx, by, service.Certificate.SerialHex())
}

// tell delivers what is due, about each second.
func (s *server) tell(ctx context.Context) {
	for {
		var more bool
		err := s.guarded(func() (err error) { more, err = s.webhooks.Round(ctx); return err })
		if err != nil && ctx.Err() == nil {
			s.log.Error("events could not be told; the next round tries again", "error", err)
		}
		if more && err == nil {
			continue
		}
		if !sleep(ctx, time.Second) {
			return
		}
	}
}

// webhookCommands are about who is told of what the log records, by the API of a running server.
type webhookCommands struct {
	Add    webhookAddCommand    `cmd:"" help:"Have acts told to an address. Example: hufu webhook add bureau https://bureau.example.cn/hook --action certificate."`
	List   webhookListCommand   `cmd:"" help:"List subscriptions and how far each has been told. Example: hufu webhook list"`
	Try    webhookTryCommand    `cmd:"" help:"Send a message without events at once. Example: hufu webhook try ID"`
	Pause  webhookPauseCommand  `cmd:"" help:"Stop a subscription for a while; nothing is lost. Example: hufu webhook pause ID --reason maintenance"`
	Resume webhookResumeCommand `cmd:"" help:"Let a paused subscription go on where it stopped. Example: hufu webhook resume ID"`
	End    webhookEndCommand    `cmd:"" help:"End a subscription for ever. Example: hufu webhook end ID"`
	Key    webhookKeyCommand    `cmd:"" help:"Print the certificate that receivers check messages with, and its chain. Example: hufu webhook key"`
}

const subscriptionsPath = "/api/v1/subscriptions"

type subscription struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	URL       string    `json:"url"`
	Actions   []string  `json:"actions,omitempty"`
	State     string    `json:"state"`
	Reason    string    `json:"reason,omitempty"`
	Sent      uint64    `json:"sent"`
	Next      uint64    `json:"next"`
	Tries     int       `json:"tries,omitempty"`
	LastSent  time.Time `json:"last_sent,omitzero"`
	LastError string    `json:"last_error,omitempty"`
}

type webhookAddCommand struct {
	remote
	Name      string   `arg:"" help:"For people."`
	URL       string   `arg:"" help:"Where messages go, https."`
	Action    []string `help:"An act such as certificate.issue, or certificate. for all of a kind; repeat it. None: all."`
	FromStart bool     `help:"Tell the whole log, not only what comes next."`
	JSON      bool     `help:"Print JSON."`
}

func (c *webhookAddCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var made subscription
	if err := s.ask(con.ctx, http.MethodPost, subscriptionsPath, map[string]any{
		"name": c.Name, "url": c.URL, "actions": c.Action, "from_start": c.FromStart,
	}, &made); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, made)
	}
	_, err = fmt.Fprintf(con.out, "subscription %s is active; try it: hufu webhook try %[1]s / 订阅已启用，可用该命令试发\n", made.ID)
	return err
}

type webhookListCommand struct {
	remote
	JSON bool `help:"Print JSON."`
}

func (c *webhookListCommand) Run(con *console) error {
	s, err := c.open()
	if err != nil {
		return err
	}
	var all items[subscription]
	if err := s.ask(con.ctx, http.MethodGet, subscriptionsPath, nil, &all); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(con.out, all.Items)
	}
	w := tabwriter.NewWriter(con.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tNAME\tSTATE\tSENT\tFAILED TRIES\tLAST ERROR\tADDRESS")
	for _, v := range all.Items {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\n", v.ID, v.Name, v.State, v.Sent, v.Tries, orDash(v.LastError), v.URL)
	}
	return w.Flush()
}

// subscriptionRef names a subscription.
type subscriptionRef struct {
	remote
	ID string `arg:"" help:"Of the subscription."`
}

// subscriptionAct is something done to a subscription, and the word for it when it is done.
type subscriptionAct struct {
	method, path, done string
	body               any
}

func (r subscriptionRef) do(con *console, act subscriptionAct) error {
	s, err := r.open()
	if err != nil {
		return err
	}
	if err := s.ask(con.ctx, act.method, subscriptionsPath+"/"+url.PathEscape(r.ID)+act.path, act.body, nil); err != nil {
		return err
	}
	_, err = fmt.Fprintf(con.out, "subscription %s: %s\n", r.ID, act.done)
	return err
}

type webhookTryCommand struct{ subscriptionRef }

func (c *webhookTryCommand) Run(con *console) error {
	return c.do(con, subscriptionAct{http.MethodPost, "/trial", "the receiver took the message / 接收方已接收消息", nil})
}

type webhookPauseCommand struct {
	subscriptionRef
	Reason string `help:"Why."`
}

func (c *webhookPauseCommand) Run(con *console) error {
	return c.do(con, subscriptionAct{http.MethodPost, "/pause", "paused / 已暂停", map[string]string{"reason": c.Reason}})
}

type webhookResumeCommand struct{ subscriptionRef }

func (c *webhookResumeCommand) Run(con *console) error {
	return c.do(con, subscriptionAct{http.MethodPost, "/resume", "goes on / 已恢复", nil})
}

type webhookEndCommand struct{ subscriptionRef }

func (c *webhookEndCommand) Run(con *console) error {
	return c.do(con, subscriptionAct{http.MethodDelete, "", "ended / 已终止", nil})
}

type webhookKeyCommand struct{ remote }

func (c *webhookKeyCommand) Run(con *console) error {
	w, err := newWalker(c.Server)
	if err != nil {
		return err
	}
	s := &session{walker: w}
	var text []byte
	if err := s.ask(con.ctx, http.MethodGet, subscriptionsPath+"/key", nil, &text); err != nil {
		return err
	}
	_, err = con.out.Write(text)
	return err
}
