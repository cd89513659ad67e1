package store

import (
	"errors"
	"strconv"
	"strings"

	"hufu/ca"
)

const caBatchRowColumns = `r.batch, r.number, r.state, r.application, r.line, r.code, r.text_zh, r.text_en, r.tries, r.revision`

// scanRow reads caBatchRowColumns and then what also holds.
func (t caTx) scanRow(s scanner, also ...any) (r ca.BatchRow, err error) {
	var line []byte
	dest := append([]any{&r.Batch, &r.Number, &r.State, &r.Application, &line, &r.Code, &r.Text.ZH, &r.Text.EN, &r.Tries, &r.Revision}, also...)
	if err := s.Scan(dest...); err != nil {
		return r, err
	}
	return r, t.openJSON("ca_batch_row.line", rowID(r.Batch, r.Number), line, &r.Line)
}

// stands is where a row is: with its application, once that is there.
const stands = `CASE WHEN r.state = 'applied' THEN a.state ELSE r.state END`

func (t caTx) BatchCounts(id string) (map[string]int, error) {
	type count struct {
		state string
		n     int
	}
	all, err := list(t.tx, func(s scanner) (c count, err error) { return c, s.Scan(&c.state, &c.n) },
		`SELECT `+stands+` AS stood, count(*) FROM ca_batch_row r LEFT JOIN ca_application a ON a.id = r.application WHERE r.batch = $1 GROUP BY 1`, id)
	counts := make(map[string]int, len(all))
	for _, c := range all {
		counts[c.state] = c.n
	}
	return counts, err
}

func (t caTx) BatchRows(f ca.RowFilter) ([]ca.RowResult, error) {
	return list(t.tx, t.scanResult, `SELECT `+caBatchRowColumns+`, `+stands+`, COALESCE(a.profile, ''), COALESCE(a.holder, ''), COALESCE(a.certificates, ''), a.envelope
		FROM ca_batch_row r LEFT JOIN ca_application a ON a.id = r.application
		WHERE r.batch = $1 AND r.number > $2 AND ($3 = '' OR `+stands+` = $3) ORDER BY r.number LIMIT $4`, f.Batch, f.After, f.Stands, f.Limit)
}

func (t caTx) scanResult(s scanner) (r ca.RowResult, err error) {
	var serials string
	r.BatchRow, err = t.scanRow(s, &r.Stands, &r.Applied.Profile, &r.Applied.Holder, &serials, &r.Applied.Envelope)
	r.Applied.ID, r.Applied.Certificates = r.Application, strings.Fields(serials)
	return r, err
}

func (t caTx) RowsToIssue(batch string, limit int) ([]ca.BatchRow, error) {
	return list(t.tx, func(s scanner) (ca.BatchRow, error) { return t.scanRow(s) }, `SELECT `+caBatchRowColumns+` FROM ca_application a
		JOIN ca_batch_row r ON r.application = a.id WHERE a.batch = $1 AND a.state = 'approved' AND r.state = 'applied' LIMIT $2`, batch, limit)
}

const caDecisionColumns = `id, batch, verdict, officer, reason, chosen, at, next, decided, refused, done, stopped`

func (t caTx) scanDecision(s scanner) (d ca.BatchDecision, err error) {
	var officer, reason []byte
	var chosen string
	var at, done int64
	if err := s.Scan(&d.ID, &d.Batch, &d.Decision.Verdict, &officer, &reason, &chosen, &at, &d.Next, &d.Decided, &d.Refused, &done, &d.Stopped); err != nil {
		return d, err
	}
	d.At, d.Done = fromMicros(at), done != 0
	for word := range strings.FieldsSeq(chosen) {
		n, err := strconv.Atoi(word)
		if err != nil {
			return d, err
		}
		d.Rows = append(d.Rows, n)
	}
	if d.Decision.Reason, err = t.open("ca_batch_decision.reason", d.ID, reason); err != nil {
		return d, err
	}
	return d, t.openJSON("ca_batch_decision.officer", d.ID, officer, &d.By)
}

func (t caTx) BatchDecision(id string) (ca.BatchDecision, error) {
	d, err := t.scanDecision(t.q.QueryRowContext(t.ctx, `SELECT `+caDecisionColumns+` FROM ca_batch_decision WHERE id = $1`, id))
	return d, caMissing(err, "decision %q", id)
}

func (t caTx) BatchDecisions(batch string) ([]ca.BatchDecision, error) {
	return list(t.tx, t.scanDecision, `SELECT `+caDecisionColumns+` FROM ca_batch_decision WHERE batch = $1 ORDER BY at, id LIMIT 1000`, batch)
}

func (t caTx) AddBatchDecision(d ca.BatchDecision) error {
	officer, err1 := t.sealJSON("ca_batch_decision.officer", d.ID, d.By)
	reason, err2 := t.seal("ca_batch_decision.reason", d.ID, d.Decision.Reason)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	var chosen []string
	for _, n := range d.Rows {
		chosen = append(chosen, strconv.Itoa(n))
	}
	_, err := t.exec(`INSERT INTO ca_batch_decision (id, batch, verdict, officer, reason, chosen, at, next, decided, refused, done)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, 0, 0)`,
		d.ID, d.Batch, string(d.Decision.Verdict), officer, reason, strings.Join(chosen, " "), micros(d.At))
	return err
}

func (t caTx) AdvanceDecision(d ca.BatchDecision, from int) (bool, error) {
	done := 0
	if d.Done {
		done = 1
	}
	n, err := t.exec(`UPDATE ca_batch_decision SET next = $3, decided = $4, refused = $5, done = $6, stopped = $7 WHERE id = $1 AND next = $2 AND done = 0`,
		d.ID, from, d.Next, d.Decided, d.Refused, done, d.Stopped)
	return n == 1, err
}
