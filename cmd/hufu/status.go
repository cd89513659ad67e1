package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"hufu/ca"
	"hufu/internal/fault"
)

// Status is how the status of certificates is told.
type Status struct {
	// Shards is into how many revocation lists new certificates of an issuer are divided. It may grow; certificates keep theirs.
	Shards int `yaml:"shards"`
	// ShortNonce is what is done with nonces of fewer than 16 octets in OCSP requests: answer, ignore or refuse (RFC 9654, 2.1).
	ShortNonce string `yaml:"short_nonce"`
	// MemoryMB bounds the OCSP answers that are kept ready.
	MemoryMB int `yaml:"memory_mb"`
	// Live is how many answers are signed at once while their askers wait; 0 for as many as CPUs.
	Live int `yaml:"live,omitempty"`
}

func (st *Status) fill() {
	if st.Shards == 0 {
		st.Shards = 1
	}
	if st.ShortNonce == "" {
		st.ShortNonce = ca.ShortNonceAnswer
	}
	if st.MemoryMB == 0 {
		st.MemoryMB = 64
	}
}

func (st *Status) check() error {
	switch {
	case st.Shards < 1 || st.Shards > 4096:
		return errConfig.With("status: shards %d is not within 1 and 4096", st.Shards)
	case st.ShortNonce != ca.ShortNonceAnswer && st.ShortNonce != ca.ShortNonceIgnore && st.ShortNonce != ca.ShortNonceRefuse:
		return errConfig.With("status: short_nonce %q is neither answer, ignore nor refuse", st.ShortNonce)
	case st.MemoryMB < 1 || st.MemoryMB > 1<<16:
		return errConfig.With("status: memory_mb %d is not within 1 and 65536", st.MemoryMB)
	case st.Live < 0 || st.Live > 1024:
		return errConfig.With("status: live %d is not within 0 and 1024", st.Live)
	}
	return nil
}

// ocsp is the setting as the authority takes it.
func (st *Status) ocsp() ca.OCSP {
	return ca.OCSP{Memory: st.MemoryMB << 20, ShortNonce: st.ShortNonce, Live: st.Live}
}

// spool is the folder for long lists while they are made: that of the data where there is one, since the system's may be memory.
func (c *Config) spool() string {
	if info, err := os.Stat(c.Data); err == nil && info.IsDir() {
		return c.Data
	}
	return ""
}

// followStatus keeps this node's answers true until ctx ends. A failure that lasts is logged once a minute.
func (s *server) followStatus(ctx context.Context) {
	var told time.Time
	s.ca.FollowStatus(ctx, func(err error) {
		if time.Since(told) > time.Minute {
			told = time.Now()
			s.log.Error("changes of status cannot be followed; answers are looked up one by one until they can", "error", err)
		}
	})
}

// besides serves the responder before a mux sees the request, whose path it would clean.
func (s *server) besides(mux http.Handler) http.Handler {
	status := s.ca.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ca.IsOCSP(r) {
			status.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

var (
	errListLate = fault.New(fault.Unavailable, "status.list-late",
		"A revocation list is not renewed as it should be. Look in the log for what keeps the job ca.list or the task lists from working, before the list ends.",
		"吊销列表未按时更新。请在列表到期前查看日志，找出 ca.list 作业或 lists 任务失败的原因。")
	errListOver = fault.New(fault.Unavailable, "status.list-over",
		"A revocation list has ended or was never made: verifiers may refuse the certificates that name it. Look in the log for what keeps it from being made.",
		"吊销列表已过期或从未生成，验证方可能拒绝相关证书。请查看日志中列表无法生成的原因。")
	errListAhead = fault.New(fault.Unavailable, "status.list-ahead",
		"A revocation list bears a time that has not come: a clock was wrong when it was made. Check the clocks of all nodes; the list is good when its time has come.",
		"吊销列表的签发时间晚于当前时间：生成时时钟有误。请检查各节点时钟；到达该时间后列表即有效。")
	errStatusBehind = fault.New(fault.Unavailable, "status.behind",
		"This node does not hear of changes of status made by others. It looks every answer up until it does, and is slower. Check the database.",
		"本节点未能跟踪其他节点的状态变更，恢复前将逐一查询并实时签名，速度较慢。请检查数据库。")
)

// lateList says what is wrong with one list.
func lateList(l ca.LateList) *fault.Error {
	until := l.Until.Format(time.RFC3339)
	if l.Until.IsZero() {
		until = "never made"
	}
	name := listName(l)
	switch {
	case l.Over:
		return errListOver.With("list %s, until %s", name, until)
	case l.Ahead:
		return errListAhead.With("list %s, until %s", name, until)
	}
	return errListLate.With("list %s, until %s, lacks a revocation: %t", name, until, l.Behind)
}

func listName(l ca.LateList) string {
	if l.Shard == ca.FullShard {
		return l.Issuer + "/full"
	}
	return l.Issuer + "/" + strconv.Itoa(l.Shard)
}

// statusNotes lists what keeps status from being told in time.
func (s *server) statusNotes(ctx context.Context) (all []note) {
	if s.ca == nil {
		return nil
	}
	late, err := ca.LateLists(ctx, s.db.CA(), s.now())
	if err != nil && ctx.Err() == nil {
		s.log.Error("revocation lists cannot be read", "error", err)
	}
	for _, l := range late {
		f := lateList(l)
		all = append(all, note{f.Code, listName(l), l.Until, f.Text.ZH, f.Text.EN})
	}
	if _, behind := s.ca.StatusBehind(); behind {
		all = append(all, note{Code: errStatusBehind.Code, About: s.name, ZH: errStatusBehind.Text.ZH, EN: errStatusBehind.Text.EN})
	}
	return all
}

// checkLists tells the doctor's reader which lists nobody renews. A server that does not run renews none.
func checkLists(con *console, cfg Config, tell func(string, error)) {
	db := examined(con, cfg)
	if db == nil {
		return // the line about the database has said why
	}
	defer db.Close()
	late, err := ca.LateLists(con.ctx, db.CA(), time.Now())
	if err != nil {
		return // so did it of its schema
	}
	for _, l := range late {
		if f := lateList(l); l.Over && !l.Until.IsZero() { // a server that has never run has made none
			tell("revocation list "+listName(l), f)
		} else {
			_, _ = io.WriteString(con.out, "note   "+oneLine(f)+"\n")
		}
	}
	if len(late) == 0 {
		tell("revocation lists", nil)
	}
}
