package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"hufu/ca"
	"hufu/certs"
	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/internal/outbound"
)

// callAuthorities is the client for the lists and services of other authorities. A list may be as large as ca takes.
func (s *server) callAuthorities() *http.Client {
	allow := s.cfg.outbound()
	if s.demo != nil {
		allow = append(allow, outbound.Loopback()...)
	}
	return outbound.NewClient(outbound.Options{Allow: allow, Timeout: 20 * time.Second, MaxBody: 17 << 20})
}

// underSuperior makes the request with which a fresh installation asks for a certificate under another's root.
func (s *server) underSuperior(ctx context.Context, o openOptions) error {
	if !o.subordinate {
		return nil
	}
	if names, _ := s.ca.Issuers(); len(names) > 0 {
		if under, err := s.ca.IsSubordinate(ctx); err != nil || !under {
			return errors.Join(ca.ErrMade.With("there are %v", names), err)
		}
		return nil
	}
	_, err := s.ca.RequestSubordinate(ctx, actor.ForSystem("init"), "issuing", false)
	return err
}

// waiting tells whether there is no authority yet because the answer of the superior is awaited.
func (s *server) waiting(ctx context.Context) (bool, error) {
	if names, _ := s.ca.Issuers(); len(names) > 0 {
		return false, nil
	}
	return s.ca.IsSubordinate(ctx)
}

// writeRequest writes the request to the superior into a file.
func (s *server) writeRequest(ctx context.Context, file string, out io.Writer) error {
	all, err := s.ca.Subordinates(ctx, actor.ForSystem("init"))
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.State != ca.MotionRequested {
			continue
		}
		if err := os.WriteFile(file, certs.EncodePEM("CERTIFICATE REQUEST", r.Request), 0o644); err != nil { // it is public
			return fmt.Errorf("write request: %w", err)
		}
		fmt.Fprintf(out, "request for a certificate of %q by a superior: %s\n"+
			"请将其交给上级 CA 签发。/ Have it certified, start the server, then let one super administrator run hufu ca install and another hufu ca confirm.\n", r.Name, file)
	}
	return nil
}

var errForeignList = fault.New(fault.Unavailable, "foreign-list",
	"There is no current revocation list of another authority, so that the status of its certificates is not known. See hufu ca trust sources.",
	"缺少其他机构的有效吊销列表，无法确认其证书状态。请用 hufu ca trust sources 查看。")

var errAuthorityRevoked = fault.New(fault.Unavailable, "authority-revoked",
	"The certificate of an authority of ours, or of one above it, is revoked; nothing is issued under it. Have a new one made: hufu ca request, or hufu ca ceremony new-issuing.",
	"本系统签发 CA 或其上级的证书已被吊销，不再签发证书。请启用新的签发 CA：hufu ca request 或 hufu ca ceremony new-issuing。")

// foreignNotes lists our authorities that a superior, or we, revoked, and the other authorities whose status is not known.
func (s *server) foreignNotes(ctx context.Context) (all []note) {
	if s.ca == nil {
		return nil
	}
	revoked, err := s.ca.RevokedAuthorities(ctx)
	if err != nil && ctx.Err() == nil {
		s.log.Error("the state of authorities cannot be read", "error", err)
	}
	for _, name := range revoked {
		all = append(all, note{Code: errAuthorityRevoked.Code, About: name, ZH: errAuthorityRevoked.Text.ZH, EN: errAuthorityRevoked.Text.EN})
	}
	lists, err := ca.ForeignStatuses(ctx, s.db.CA(), s.now())
	if err != nil && ctx.Err() == nil {
		s.log.Error("lists of other authorities cannot be read", "error", err)
	}
	for _, l := range lists {
		if l.Over {
			all = append(all, note{errForeignList.Code, cmp.Or(l.Entry, "superior"), l.NextUpdate, errForeignList.Text.ZH, errForeignList.Text.EN})
		}
	}
	return all
}

// checkForeignLists tells the doctor's reader the age of each.
func checkForeignLists(con *console, cfg Config, tell func(string, error)) {
	db := examined(con, cfg)
	if db == nil {
		return // the line about the database has said why
	}
	defer db.Close()
	now := time.Now()
	lists, err := ca.ForeignStatuses(con.ctx, db.CA(), now)
	if err != nil {
		return // so did it of its schema
	}
	for _, l := range lists {
		what := fmt.Sprintf("list of %s, %s", cmp.Or(l.Entry, "the superior"), l.URL)
		if l.Over {
			tell(what, errForeignList.With("%s", cmp.Or(l.Failure, "never fetched")))
			continue
		}
		tell(fmt.Sprintf("%s, %s old, until %s", what, now.Sub(l.ThisUpdate).Round(time.Minute), l.NextUpdate.Format(time.DateTime)), nil)
	}
}
