package keys

import (
	"slices"
	"strings"
	"time"

	"hufu/internal/fault"
)

// Published is a version that everybody may know but that does not work yet: relying parties fetch it, nodes open it.
const Published State = "published"

// DataPrefix begins the names of data keys among those of device keys: data:field.
const DataPrefix = "data:"

// Way is how a sort of key is rotated.
type Way string

// The ways.
const (
	Once      Way = "once"      // the new version works at once; what the old one made stays as it is
	Announced Way = "published" // published, then at work, the old one published until its tokens have ended
	Accepted  Way = "accepted"  // known to all nodes, then at work, the old one goes on being accepted
	Resealed  Way = "resealed"  // known to all nodes, then at work, and every row is made anew under it
	Rewrapped Way = "rewrapped" // at work at once, and every key under the old one is wrapped anew
)

// Phase is where a rotation stands.
type Phase string

// The phases, in their order; not every way has all of them.
const (
	PhaseMaking    Phase = "making"    // the new version is not there yet
	PhasePublished Phase = "published" // it is known and does not work yet
	PhaseWorking   Phase = "working"   // rows are made anew
	PhaseWaiting   Phase = "waiting"   // rows are left that only time or their owners bring over
	PhaseFading    Phase = "fading"    // the old version is still published
	PhaseDone      Phase = "done"      //
)

// Progress is a rotation: which key, and how far it is.
type Progress struct {
	ID        string
	Key       string // label of a device key, or data: and a purpose
	Way       Way
	Phase     Phase
	From, To  uint32 // versions; To is 0 until it is made
	Stage     string // table or sort of keys at work
	Position  string // last row of it that is done
	Done      int64  // rows
	Total     int64
	Held      int64     // rows that cannot be brought over by the program alone
	NotBefore time.Time // of the next step
	By        string
	Begun     time.Time
	Changed   time.Time
	Ended     time.Time
}

// Rotations reads and writes how far rotations are.
type Rotations interface {
	// Rotations returns those that have not ended, and the newest of the others up to the limit, newest first.
	Rotations(limit int) ([]Progress, error)
	// Rotation returns one, or ErrUnknown.
	Rotation(id string) (Progress, error)
	// LastRotation returns the newest of a key, or ErrUnknown.
	LastRotation(key string) (Progress, error)
}

// RotationShelf changes rotations.
type RotationShelf interface {
	// InsertRotation reports false when the key has a rotation that has not ended.
	InsertRotation(p Progress) (bool, error)
	// ReplaceRotation writes after where id, phase, stage and position are as in before.
	ReplaceRotation(before, after Progress) (bool, error)
	// AskDestruction keeps who wants a version destroyed until a time, in the place of what was asked before.
	AskDestruction(d Destruction) error
	// TakeDestruction forgets it, and reports false when it was not there.
	TakeDestruction(d Destruction) (bool, error)
	// ReplaceEscrow wraps an escrowed key under another version, where its octets are as they were read.
	ReplaceEscrow(e Escrow, version uint32, wrapped []byte) (bool, error)
	// NextTurn tells all nodes that the keys in force change with this transaction, and waits for those transactions that use
	// the keys of before. Call it before anything else in the transaction.
	NextTurn() error
}

// Rows are the rows of the database that stand under a data key. keys knows their tables by name only.
type Rows interface {
	// Stages returns the tables through which the rotation of a data key goes.
	Stages(purpose string) []string
	// Size counts the rows of a table.
	Size(stage string) (int64, error)
	// Remake brings the next rows of a table, after a position, under the key in force, and returns the last one's position
	// and how many there were. What somebody else wrote meanwhile is left alone.
	Remake(purpose, stage, after string, limit int) (last string, n int, err error)
	// Holds reports whether anything still needs a version of a data key that was retired at a time.
	Holds(d DataVersion) (bool, error)
	// Asked returns the destruction asked for, or ErrUnknown.
	Asked(key string, number uint32) (Destruction, error)
	// SuperAdministrators counts the persons who hold the role.
	SuperAdministrators() (int, error)
}

// Destruction is a version that one super administrator wants destroyed and another has not confirmed yet.
type Destruction struct {
	Key    string
	Number uint32
	By     string // subject
	At     time.Time
	Until  time.Time
}

// Times of the overlap.
const (
	// knownAfter is how long a version is known before it works: nodes look for new keys each FollowEvery.
	knownAfter = 30 * time.Second
	// FollowEvery is how often nodes look for new keys.
	FollowEvery = 5 * time.Second
	// publishedFor is how long a token key is published before it signs: relying parties may keep the key set for 5 minutes.
	publishedFor = 6 * time.Minute
	// FadesAfter is how long a token key stays published after its last signature: tokens last 10 minutes, and clocks differ.
	FadesAfter = 15 * time.Minute
	// askedFor is how long one super administrator's wish to destroy waits for another's.
	askedFor = time.Hour
)

// ways says how the keys of each purpose are rotated; what is not in it cannot be, for the reason in why.
var ways = map[string]Way{
	Master: Rewrapped, KMCMaster: Rewrapped, OCSP: Once, TSA: Once, SealMaker: Once, QR: Once, Webhook: Once, Envelope: Once,
	TokenES256: Announced, TokenRS256: Announced, TokenSM2: Announced,
	DataPrefix + DataField: Resealed, DataPrefix + DataIndex: Resealed, DataPrefix + DataSubjects: Resealed, DataPrefix + DataRows: Resealed,
	DataPrefix + DataTokens: Accepted, DataPrefix + DataPepper: Accepted, DataPrefix + DataPages: Accepted,
}

var why = map[string]*fault.Error{
	CARoot: fault.New(fault.Conflict, "keys.fixed-root",
		"The key of a root is named by the certificates of all who trust it and is not rotated. Make a new root in a ceremony.",
		"根密钥由所有信任它的证书指明，不能轮换。请通过密钥仪式建立新的根。"),
	CAIssuing: fault.New(fault.Conflict, "keys.fixed-issuing",
		"The key of an issuing authority is named by its certificate and is not rotated. Have the root certify a new issuing authority in a ceremony.",
		"签发机构的密钥由其证书指明，不能轮换。请在密钥仪式中由根签发新的签发机构证书。"),
	Log: fault.New(fault.Conflict, "keys.fixed-log",
		"Witnesses and verifiers know the log by its key, so it is not rotated: a log with another key is another log.",
		"见证方和验证方以该密钥识别日志，不能轮换：更换密钥即成为另一份日志。"),
	Bundle: fault.New(fault.Conflict, "keys.fixed-bundle",
		"Verifiers hold the bundle's key as a pin, so it is not rotated. Hand out a new pin with a new server.",
		"验证方已固定信任列表的密钥，不能轮换。请随新服务分发新的固定值。"),
	DataPrefix + DataPseudo: fault.New(fault.Conflict, "keys.fixed-pseudo",
		"Pseudonyms stand in certificates and must stay the same, so their key is not rotated.",
		"化名已写入证书且必须保持不变，其密钥不能轮换。"),
}

// The refusals of rotation.
var (
	ErrRotating = fault.New(fault.Conflict, "keys.rotating",
		"A rotation of this key is under way. Wait until it is done: hufu keys list.", "该密钥正在轮换。请等待完成，可用 hufu keys list 查看。")
	ErrOverlap = fault.New(fault.Conflict, "keys.overlap",
		"The version before is still there. Destroy it first: only two may stand side by side.", "上一版本仍然存在。请先销毁它：同时只能有两个版本并存。")
	ErrFixed = fault.New(fault.Conflict, "keys.fixed",
		"Keys of this purpose are not rotated.", "该用途的密钥不能轮换。")
	ErrSecret = fault.New(fault.NotFound, "keys.secret",
		"A secret key has no public half. Export the public half of a signing key.", "对称密钥没有公钥。请选择签名密钥。")
	ErrNeeded = fault.New(fault.Conflict, "keys.needed",
		"Something still needs this version: rows, passwords or tokens made under it. See OPERATING, rotation of keys, for when it is free.",
		"仍有数据、口令或令牌依赖该版本。何时可销毁，请见运维手册“密钥轮换”。")
	ErrSecond = fault.New(fault.Conflict, "keys.second",
		"Noted. Another super administrator must confirm the destruction within an hour, by the same command.", "已登记。须由另一名超级管理员在一小时内执行同一命令予以确认。")
)

// WayOf returns how keys of a purpose are rotated, or why they are not. Purposes of data keys begin with data:.
func WayOf(purpose string) (Way, *fault.Error) {
	if way, ok := ways[purpose]; ok {
		return way, nil
	}
	if err, ok := why[purpose]; ok {
		return "", err
	}
	return "", ErrFixed
}

func wayOf(purpose string) (Way, error) {
	way, err := WayOf(purpose)
	if err != nil {
		return "", err.With("purpose %q", purpose)
	}
	return way, nil
}

// dataPurpose tells a data key's name from a label.
func dataPurpose(key string) (purpose string, ok bool) { return strings.CutPrefix(key, DataPrefix) }

// onlyHeld reports whether all that is left to do is not the program's to do.
func (p Progress) onlyHeld() bool {
	return p.Way == Rewrapped && p.Phase == PhaseWaiting && p.Held > 0
}

// ended reports whether a rotation is over.
func (p Progress) ended() bool { return p.Phase == PhaseDone }

// delay is how long a new version is known before it works.
func (p Progress) delay() time.Duration {
	switch p.Way {
	case Announced:
		return publishedFor
	case Resealed: // each transaction looks whether the keys have changed, and a change waits for those that looked
		return 0
	}
	return knownAfter
}

// next returns the stage after the one at work, the first for none, and "" behind the last.
func next(stages []string, stage string) string {
	if i := slices.Index(stages, stage); i+1 < len(stages) {
		return stages[i+1]
	}
	return ""
}
