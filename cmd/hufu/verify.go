package main

import (
	"context"
	"errors"

	"hufu/ca"
	"hufu/certs/bundle"
	"hufu/internal/fault"
	"hufu/licence/reader"
	"hufu/seal/check"
)

var (
	errBundle = fault.New(fault.Invalid, "verify.bundle",
		"The trust bundle cannot be read. Fetch it again from its publisher.", "信任包无法读取。请从发布机构重新获取。")
	errNoBundle = fault.New(fault.Unavailable, "verify.no-bundle",
		"This server has not published its trust bundle yet. Try again in a few seconds.", "本服务尚未发布信任包。请几秒后重试。")
)

// verifier checks files for the pages and the API, with nothing but a trust bundle: the server's own newest one, or one
// that came with the file.
type verifier struct{ s *server }

func (v verifier) Verify(ctx context.Context, name string, file, own []byte, lang string) (check.Report, error) {
	pin := bundle.Pin{}
	if len(own) == 0 {
		published, err := v.s.ca.Bundle(ctx)
		if errors.Is(err, ca.ErrUnknown) {
			return check.Report{}, errNoBundle
		}
		if err != nil {
			return check.Report{}, err
		}
		key, err := v.s.ca.BundleKey(ctx)
		if err != nil {
			return check.Report{}, err
		}
		own, pin = published.Data, bundle.PinKey(key.PublicKey)
	}
	o := check.Options{Name: name, At: v.s.now(), Lang: lang}
	return verify(file, own, pin, o)
}

// verify is the one way in which this program judges a file.
func verify(file, trust []byte, pin bundle.Pin, o check.Options) (check.Report, error) {
	b, info, err := bundle.Parse(trust, pin)
	if err != nil {
		return check.Report{}, errBundle.With("%w", err)
	}
	o.Bundle, o.BundleInfo, o.Reader = b, info, reader.New()
	report, err := check.Check(file, o)
	if err != nil {
		return check.Report{}, err
	}
	return *report, nil
}
