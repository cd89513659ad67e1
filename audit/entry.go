package audit

import (
	"strings"
	"time"
	"unicode/utf8"

	"hufu/internal/actor"
	"hufu/internal/fault"
)

// Entry is one act, as the domain that did it tells it. Record it in the transaction of the change itself.
//
// Which field may hold what decides what stays for ever: Action, Object, Public and the actor's ids go into
// the leaf of a public, append-only tree. Names, identity numbers, telephone numbers, addresses, file names that
// people chose and the like belong in Personal, which only Subject's key opens.
type Entry struct {
	ID       string            // opaque; filled when the entry is recorded, if empty
	At       time.Time         // of the act, UTC, kept to the microsecond; filled when recorded, if zero
	Actor    actor.Actor       // who did it: ids go into the leaf, session, peer, roles and levels are sealed, the name is not kept
	Action   string            // what was done: noun, dot, verb, see the Action constants
	Object   Object            // to what
	Public   map[string]string // facts anyone may read for ever; keys of letters, digits, _ . -, never personal data
	Subject  string            // opaque id of the person whose key seals Personal; "" = nobody, then Personal must be empty
	Personal map[string]string // facts about Subject; gone when the subject's key is destroyed
}

// Object is what an act was done to. Kind is the noun of the package that owns it ("certificate", "seal",
// "licence", "session", "client", "key", "subject", …); ID is that package's own id, opaque and of printable ASCII
// without spaces, never an identity number; it may be empty where there is only one such object.
type Object struct{ Kind, ID string }

// Sizes that an entry must keep. A leaf is at most 65,535 bytes by the form of the entry tiles; ours stay far below.
const (
	maxName   = 64       // Action, Object.Kind, keys of Public and Personal
	maxID     = 256      // ids
	maxFacts  = 64       // entries of Public, and of Personal
	maxPublic = 16 << 10 // bytes of Public, keys and values
	maxSealed = 64 << 10 // bytes of Personal, keys and values
)

// Check refuses an entry that cannot be recorded: a missing or overlong field, a key that is not a plain name,
// text that is not UTF-8, personal data without a subject.
func (e Entry) Check() error {
	switch {
	case !isName(e.Action) || !strings.Contains(e.Action, "."):
		return ErrEntry.With("action %q is not of the form noun.verb", e.Action)
	case !isName(e.Object.Kind), e.Object.ID != "" && !isID(e.Object.ID):
		return ErrEntry.With("%s: object %q %q", e.Action, e.Object.Kind, e.Object.ID)
	case e.ID != "" && !isID(e.ID), e.Subject != "" && !isID(e.Subject):
		return ErrEntry.With("%s: id %q or subject %q", e.Action, e.ID, e.Subject)
	case e.Subject == "" && len(e.Personal) > 0:
		return ErrEntry.With("%s: personal data without a subject whose key could seal it", e.Action)
	}
	if err := checkFacts("public", e.Public, maxPublic); err != nil {
		return ErrEntry.With("%s: %w", e.Action, err)
	}
	if err := checkFacts("personal", e.Personal, maxSealed); err != nil {
		return ErrEntry.With("%s: %w", e.Action, err)
	}
	return nil
}

func checkFacts(what string, facts map[string]string, limit int) error {
	size := 0
	for k, v := range facts {
		size += len(k) + len(v)
		if !isName(k) || !utf8.ValidString(v) {
			return ErrEntry.With("%s fact %q", what, k)
		}
	}
	if len(facts) > maxFacts || size > limit {
		return ErrEntry.With("%s facts: %d of them in %d bytes", what, len(facts), size)
	}
	return nil
}

func isName(s string) bool {
	return s != "" && len(s) <= maxName && !strings.ContainsFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("_.-", r))
	})
}

func isID(s string) bool {
	return s != "" && len(s) <= maxID && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// Actions that this package records itself. The other packages name theirs the same way, in their own words:
// "application.submit", "application.approve", "certificate.issue", "certificate.revoke", "crl.publish",
// "subject.register", "session.open", "session.refuse", "client.register", "token.issue", "consent.grant",
// "seal.make", "seal.use", "seal.revoke", "licence.issue", "licence.revoke", "key.generate", "key.destroy".
const (
	ActionErase = "subject.erase" // a subject's key was destroyed; Object is the subject
	ActionRead  = "audit.read"    // an auditor opened sealed data; Public tells the query
)

// The refusals of this package.
var (
	ErrEntry = fault.New(fault.Invalid, "audit.entry",
		"This act could not be recorded, so it was not done. Please report it to the operator.", "该操作无法写入审计记录，因此未执行。请联系运维人员。")
	ErrUnknown = fault.New(fault.NotFound, "audit.unknown",
		"No such record. Check the number, or try again in a few seconds if the act was just done.", "没有这条记录。请核对编号；若操作刚刚完成，请几秒后再试。")
	ErrPending = fault.New(fault.Unavailable, "audit.pending",
		"The record exists but no signed checkpoint covers it yet. Try again in a few seconds.", "记录已存在，但尚未被签名检查点覆盖。请几秒后再试。")
	ErrQuery = fault.New(fault.Invalid, "audit.query",
		"This search cannot be run. Check the page size and start again from the first page.", "无法执行该查询。请检查每页条数，并从第一页重新开始。")
	ErrCosignature = fault.New(fault.Invalid, "audit.cosignature",
		"This is not a cosignature of a known witness on that checkpoint. Fetch the checkpoint again and cosign it anew.", "这不是已登记见证方对该检查点的联署。请重新获取检查点后再次联署。")
)
