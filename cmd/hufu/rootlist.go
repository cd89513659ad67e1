package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"hufu/ca"
	"hufu/internal/fault"
)

var (
	errRootList = fault.New(fault.Unavailable, "root-list",
		"The list of an authority whose key custodians share must be signed anew. Call them together for: hufu ca ceremony sign-crl.",
		"由保管员共同保管密钥的机构，其吊销列表需要重新签发。请召集保管员执行 hufu ca ceremony sign-crl。")
	errRootListOver = fault.New(fault.Unavailable, "root-list-over",
		"The list of an authority whose key custodians share has ended, so that verifiers may refuse what stands below it. Call the custodians together now for: hufu ca ceremony sign-crl.",
		"由保管员共同保管密钥的机构，其吊销列表已过期，验证方可能拒绝其下级证书。请立即召集保管员执行 hufu ca ceremony sign-crl。")
)

// rootList says what is due with one list, nil for nothing.
func rootList(l ca.OfflineList) *fault.Error {
	switch {
	case l.Over:
		return errRootListOver.With("list of %q, until %s, %d revocations wait", l.Issuer, l.Until.Format(time.DateOnly), l.Waiting)
	case l.Due:
		return errRootList.With("list of %q, until %s, %d revocations wait", l.Issuer, l.Until.Format(time.DateOnly), l.Waiting)
	}
	return nil
}

// note is something in the answer of /readyz that somebody must do in time; the server is ready all the same.
type note struct {
	Code  string    `json:"code"`
	About string    `json:"about"`
	Until time.Time `json:"until"`
	ZH    string    `json:"zh"`
	EN    string    `json:"en"`
}

// notes lists what only custodians can do, and when.
func (s *server) notes(ctx context.Context) (all []note) {
	lists, err := ca.OfflineLists(ctx, s.db.CA(), s.now())
	if err != nil && ctx.Err() == nil { // else whoever asked has gone
		s.log.Error("lists of authorities cannot be read", "error", err)
	}
	for _, l := range lists {
		if due := rootList(l); due != nil {
			all = append(all, note{due.Code, l.Issuer, l.Until, due.Text.ZH, due.Text.EN})
		}
	}
	return append(all, s.keyNotes()...)
}

// warnOfRootLists logs each day what custodians have to do.
func (s *server) warnOfRootLists(ctx context.Context) error {
	for _, n := range s.notes(ctx) {
		s.log.Warn(n.EN, "issuer", n.About, "until", n.Until)
	}
	return nil
}

// checkRootLists tells the doctor's reader the same.
func checkRootLists(con *console, cfg Config, tell func(string, error)) {
	db := examined(con, cfg)
	if db == nil {
		return // the line about the database has said why
	}
	defer db.Close()
	lists, err := ca.OfflineLists(con.ctx, db.CA(), time.Now())
	if err != nil {
		return // so did it of its schema
	}
	for _, l := range lists {
		what := fmt.Sprintf("list of authority %s, whose key custodians share, until %s", l.Issuer, l.Until.Format(time.DateOnly))
		if due := rootList(l); due != nil && !l.Over {
			_, _ = io.WriteString(con.out, "note   "+oneLine(due)+"\n")
			continue
		} else if due != nil {
			tell(what, due)
			continue
		}
		tell(what, nil)
	}
}
