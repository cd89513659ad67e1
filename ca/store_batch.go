package ca

import (
	"time"

	"hufu/internal/actor"
	"hufu/internal/fault"
)

// BatchState is where a batch stands as a whole. How far it is, its rows tell.
type BatchState string

// States of batches.
const (
	BatchLoading   BatchState = "loading"   // rows are being stored; sent again, it goes on
	BatchOpen      BatchState = "open"      // rows are worked
	BatchCancelled BatchState = "cancelled" // what had not begun never will
)

// RowState is where a row of a batch stands before and apart from its application.
type RowState string

// States of rows. An applied row is where its application is.
const (
	RowWaiting   RowState = "waiting"
	RowApplied   RowState = "applied"
	RowFailed    RowState = "failed"
	RowCancelled RowState = "cancelled"
)

// Batch is many applications that one maker brings in one file.
type Batch struct {
	ID    string
	Name  string // what people call it; sealed
	Maker actor.Actor
	State BatchState
	Total int
	SM3   []byte // of the file
	Key   string // idempotency key given by the caller, scoped to the maker; "" = none
	At    time.Time
}

// Line is what a row asks for, as it was sent; sealed.
type Line struct {
	Profile            string            `json:"profile,omitempty"`
	Holder             string            `json:"holder,omitempty"`
	NumberType         string            `json:"number_type,omitempty"` // of Number, where the holder is named by a number
	Number             string            `json:"number,omitempty"`
	Organization       string            `json:"organization,omitempty"`
	OrganizationNumber string            `json:"organization_number,omitempty"`
	Facts              map[string]string `json:"facts,omitempty"`
	CSR                string            `json:"csr,omitempty"`   // PEM, or DER in base64
	Twin               int               `json:"twin,omitempty"`  // row before that has the same request
	Wrong              string            `json:"wrong,omitempty"` // what is wrong with the row as a row
}

// BatchRow is a row of a batch.
type BatchRow struct {
	Batch       string
	Number      int // from 1, the first row below the header
	State       RowState
	Application string
	Line        Line
	Code        string // of the error, when failed
	Text        fault.Text
	Tries       int   // that ended in an error of our own
	Revision    int64 // counts the changes
}

// RowResult is a row with what became of its application.
type RowResult struct {
	BatchRow
	Stands  string      // the application's state, or else the row's
	Applied Application // without facts, request and steps; zero where there is none
}

// BatchFilter narrows a list of batches; zero fields do not.
type BatchFilter struct {
	Maker  string // capacity:subject
	Before time.Time
	Limit  int
}

// RowFilter names rows of a batch; zero fields do not narrow.
type RowFilter struct {
	Batch  string
	Stands string // where the row stands, or its application
	After  int
	Limit  int
}

// BatchDecision is what an officer decided on many applications of a batch at once.
type BatchDecision struct {
	ID       string
	Batch    string
	By       actor.Actor
	Decision Decision
	Rows     []int // none says all that stood submitted then
	At       time.Time
	Next     int // the row after which the work goes on
	Decided  int // rows so far
	Refused  int // rows on which this officer may not decide, or which changed meanwhile
	Done     bool
	Stopped  string // code of the reason why the rest was left alone; "": it was not
}

// BatchR looks batches up.
type BatchR interface {
	Batch(id string) (Batch, error)
	BatchByKey(maker, key string) (Batch, error)
	// Batches lists newest first.
	Batches(f BatchFilter) ([]Batch, error)
	// BatchCounts counts the rows of a batch by where they stand.
	BatchCounts(id string) (map[string]int, error)
	// BatchRows lists rows by number, with what became of them.
	BatchRows(f RowFilter) ([]RowResult, error)
	// RowsToIssue lists applied rows whose application is approved and not issued.
	RowsToIssue(batch string, limit int) ([]BatchRow, error)
	BatchDecisionR
}

// BatchDecisionR looks decisions on batches up.
type BatchDecisionR interface {
	BatchDecision(id string) (BatchDecision, error)
	BatchDecisions(batch string) ([]BatchDecision, error)
}

// BatchW changes batches. No method changes a row that is not in the state and revision named.
type BatchW interface {
	AddBatch(b Batch) error
	// AddBatchRows stores rows; those that are there already stay as they are.
	AddBatchRows(rows []BatchRow) error
	SetBatchState(id string, from, to BatchState) (bool, error)
	// MoveRow writes state, application, line and error of a row that stands in the given state: false when it does not.
	MoveRow(row BatchRow, from RowState) (bool, error)
	// RetryRows lets failed rows begin anew where they failed; numbers none means all. It returns how many.
	RetryRows(batch string, numbers []int) (int64, error)
	// CancelRows ends rows that wait. It returns how many.
	CancelRows(batch string) (int64, error)
	// StopRows fails all rows that wait, for one reason. It returns how many.
	StopRows(batch, code string, text fault.Text) (int64, error)
	BatchWorkW
}

// BatchWorkW is what the jobs write.
type BatchWorkW interface {
	// LeaseBatch gives a batch to one worker until a time; false while another has it. A time not after now gives it back.
	LeaseBatch(id string, now, until time.Time) (bool, error)
	AddBatchDecision(d BatchDecision) error
	// AdvanceDecision writes how far a decision is, where it stands after the row named: false when it does not.
	AdvanceDecision(d BatchDecision, from int) (bool, error)
}
