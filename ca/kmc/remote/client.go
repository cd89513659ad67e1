package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"hufu/ca/kmc"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

// Client is a centre on another machine. It is safe for concurrent use.
type Client struct {
	base string
	http *http.Client
}

var _ kmc.Service = (*Client)(nil)

// NewClient calls the centre at base, "https://kmc.example:8485", through an HTTP client that shows this authority's certificate,
// checks the centre's, and bounds each try.
func NewClient(base string, h *http.Client) *Client {
	return &Client{strings.TrimSuffix(base, "/"), h}
}

const tries = 4

// ask makes a call and repeats it while no answer comes: every call may be made again.
func ask[O any](ctx context.Context, c *Client, name string, by actor.Actor, in any) (out O, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return out, err
	}
	text, err := json.Marshal(call{by, body})
	if err != nil {
		return out, err
	}
	for try := range tries {
		if try > 0 {
			select {
			case <-ctx.Done():
				return out, kmc.ErrRemote.With("%s: %w", name, errors.Join(err, ctx.Err()))
			case <-time.After(time.Duration(try*try) * 100 * time.Millisecond):
			}
		}
		var again bool
		if again, err = c.once(ctx, name, text, &out); !again {
			return out, err
		}
	}
	return out, err
}

// once reports whether the call may be made again.
func (c *Client) once(ctx context.Context, name string, text []byte, out any) (again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+prefix+name, bytes.NewReader(text))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return true, kmc.ErrRemote.With("%s: %w", name, err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err != nil || len(said) > maxBody {
		return true, kmc.ErrRemote.With("%s: answer of %d octets: %w", name, len(said), err)
	}
	if resp.StatusCode == http.StatusOK {
		if err := decode(said, out); err != nil {
			return false, kmc.ErrRemote.With("%s: %w", name, err)
		}
		return false, nil
	}
	var p problem
	if err := decode(said, &p); err != nil || p.Code == "" {
		return resp.StatusCode >= http.StatusInternalServerError, kmc.ErrRemote.With("%s: status %d", name, resp.StatusCode)
	}
	kind := kindOf(p.Kind)
	if kind == fault.Internal {
		return false, kmc.ErrRemote.With("%s: the centre failed; its log says why", name)
	}
	return kind == fault.Unavailable, fault.New(kind, p.Code, p.EN, p.ZH).With("key management centre, %s", name)
}

// Provide implements kmc.KeyService.
func (c *Client) Provide(ctx context.Context, by actor.Actor, o kmc.Order) (kmc.Answer, error) {
	if !gm.IsSM2(o.Signing) {
		return kmc.Answer{}, fmt.Errorf("encryption key for request %q: %w", o.Request, gm.ErrKey)
	}
	in := orderBody{Request: o.Request, Signing: point(o.Signing), Authority: o.Authority, Profile: o.Profile, Subject: o.Subject}
	if o.Temporary != nil {
		in.Temporary = point(o.Temporary)
	}
	a, err := ask[answerBody](ctx, c, "provide", by, in)
	if err != nil {
		return kmc.Answer{}, err
	}
	public, err := gm.PublicKey(a.Public)
	if err != nil {
		return kmc.Answer{}, kmc.ErrRemote.With("public key: %w", err)
	}
	return kmc.Answer{Public: public, Envelope: a.Envelope}, nil
}

// Certified implements kmc.KeyService.
func (c *Client) Certified(ctx context.Context, by actor.Actor, cert kmc.Certification) error {
	_, err := ask[struct{}](ctx, c, "certified", by, certifiedBody{point(cert.Public), cert.Serial, cert.NotAfter})
	return err
}

// History implements kmc.KeyService.
func (c *Client) History(ctx context.Context, by actor.Actor, subject string) ([]kmc.Entry, error) {
	return ask[[]kmc.Entry](ctx, c, "history", by, subjectBody{subject})
}

// Pool implements kmc.KeyService.
func (c *Client) Pool(ctx context.Context, by actor.Actor) (kmc.PoolStatus, error) {
	return ask[kmc.PoolStatus](ctx, c, "pool", by, struct{}{})
}

// Request implements kmc.RecoveryService.
func (c *Client) Request(ctx context.Context, by actor.Actor, a kmc.Ask) (kmc.Recovery, error) {
	if a.Key == "" {
		return kmc.Recovery{}, kmc.ErrAsk.With("a call that may be repeated needs an idempotency key")
	}
	return ask[kmc.Recovery](ctx, c, "request", by, a)
}

// Recovery implements kmc.RecoveryService.
func (c *Client) Recovery(ctx context.Context, by actor.Actor, id string) (kmc.Recovery, error) {
	return ask[kmc.Recovery](ctx, c, "recovery", by, idBody{id})
}

// Recoveries implements kmc.RecoveryService.
func (c *Client) Recoveries(ctx context.Context, by actor.Actor, f kmc.RecoveryFilter) ([]kmc.Recovery, error) {
	return ask[[]kmc.Recovery](ctx, c, "recoveries", by, f)
}

// Decide implements kmc.RecoveryService.
func (c *Client) Decide(ctx context.Context, by actor.Actor, id string, v kmc.Verdict) (kmc.Recovery, error) {
	return ask[kmc.Recovery](ctx, c, "decide", by, decideBody{id, v})
}

// Cancel implements kmc.RecoveryService.
func (c *Client) Cancel(ctx context.Context, by actor.Actor, id string) (kmc.Recovery, error) {
	return ask[kmc.Recovery](ctx, c, "cancel", by, idBody{id})
}

// Take implements kmc.RecoveryService.
func (c *Client) Take(ctx context.Context, by actor.Actor, id, receipt string, standing kmc.Standing) (kmc.Recovery, error) {
	return ask[kmc.Recovery](ctx, c, "take", by, takeBody{id, receipt, standing})
}
