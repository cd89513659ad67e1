package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// stampOrder is a document to stamp, by the sample official; pin may be empty.
func (t *tour) stampOrder(pin string) (map[string]any, error) {
	document, err := t.load(t.licenceFile())
	order := map[string]any{
		"document": document, "purpose": "demo", "positions": []map[string]any{{"page": 1, "x": 20, "y": 20, "width": 42, "height": 42}},
	}
	if pin != "" {
		order["pin"] = pin
	}
	return order, err
}

func (t *tour) stamp(ctx context.Context, who tokens, pin string) ([]byte, error) {
	order, err := t.stampOrder(pin)
	if err != nil {
		return nil, err
	}
	var file []byte
	err = t.call(ctx, who.Access, "POST", "/api/v1/seals/"+sampleSeal+"/stamps", order, &file, "Accept", "application/ofd")
	return file, err
}

// denied demands a refusal with a code.
func denied(what, code string, err error) error {
	if err == nil || !strings.Contains(err.Error(), fmt.Sprint(http.StatusForbidden)) || !strings.Contains(err.Error(), code) {
		return fmt.Errorf("%s: %w", what, errors.Join(errors.New("not refused with "+code), err))
	}
	return nil
}

// stampWithoutOwner has those try who may not: the official without the PIN, with a wrong one, and an administrator of the
// platform who knows it.
func (t *tour) stampWithoutOwner(ctx context.Context) (string, error) {
	admin, err := t.login(ctx, toolClient, "guanliyuan", samplePassword, "official")
	if err != nil {
		return "", err
	}
	_, bare := t.stamp(ctx, t.official, "")
	_, guess := t.stamp(ctx, t.official, "not-the-pin-77")
	_, power := t.stamp(ctx, admin, samplePIN)
	return "without the PIN, with a wrong one, and as administrator of the platform: all refused", errors.Join(
		denied("without the PIN", "keys.activation", bare), denied("with a wrong PIN", "keys.pin", guess), denied("as administrator", "seal.not-owner", power))
}

func (t *tour) stampByPIN(ctx context.Context) (string, error) {
	file, err := t.stamp(ctx, t.official, samplePIN)
	if err != nil {
		return "", err
	}
	if !bytes.HasPrefix(file, []byte("PK")) {
		return "", errors.New("what came back is no OFD file")
	}
	return fmt.Sprintf("%d octets", len(file)), t.save("document stamped with the PIN", "seal/stamped.ofd", file)
}

// activate lets the seal stamp twice without the PIN, uses one, and withdraws the rest.
func (t *tour) activate(ctx context.Context) (string, error) {
	path := "/api/v1/seals/" + sampleSeal + "/activations"
	var made struct {
		ID   string
		Left int
	}
	bounds := map[string]any{"kinds": []string{"document"}, "count": 2, "until": time.Now().Add(time.Hour), "pin": samplePIN}
	if err := t.call(ctx, t.official.Access, "POST", path, bounds, &made); err != nil {
		return "", err
	}
	if _, err := t.stamp(ctx, t.official, ""); err != nil {
		return "", err
	}
	if err := t.call(ctx, t.chief.Access, "DELETE", path+"/"+made.ID, nil, nil); err != nil {
		return "", err
	}
	_, after := t.stamp(ctx, t.official, "")
	return fmt.Sprintf("%d uses of documents, one used, then withdrawn by a colleague", made.Left), denied("after the withdrawal", "keys.activation", after)
}
