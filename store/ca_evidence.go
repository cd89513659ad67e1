package store

import (
	"errors"

	"hufu/ca"
)

const caEvidenceColumns = `id, application, kind, name, sm3, size, media, by_whom, at, remark, document IS NOT NULL`

// scanEvidence reads caEvidenceColumns and then what also holds.
func (t caTx) scanEvidence(s scanner, also ...any) (e ca.Evidence, err error) {
	var name, remark []byte
	var at int64
	dest := append([]any{&e.ID, &e.Application, &e.Kind, &name, &e.SM3, &e.Size, &e.Media, &e.By, &at, &remark, &e.Kept}, also...)
	if err := s.Scan(dest...); err != nil {
		return e, err
	}
	e.At = fromMicros(at)
	var err1, err2 error
	e.Name, err1 = t.open("ca_evidence.name", e.ID, name)
	e.Remark, err2 = t.open("ca_evidence.remark", e.ID, remark)
	return e, errors.Join(err1, err2)
}

func (t caTx) EvidenceOf(application string) ([]ca.Evidence, error) {
	return list(t.tx, func(s scanner) (ca.Evidence, error) { return t.scanEvidence(s) },
		`SELECT `+caEvidenceColumns+` FROM ca_evidence WHERE application = $1 ORDER BY at, id`, application)
}

func (t caTx) Document(application, id string) (ca.Evidence, []byte, error) {
	var sealed []byte
	row := t.q.QueryRowContext(t.ctx, `SELECT `+caEvidenceColumns+`, document FROM ca_evidence
		WHERE id = $1 AND application = $2 AND document IS NOT NULL`, id, application)
	e, err := t.scanEvidence(row, &sealed)
	if err != nil {
		return e, nil, caMissing(err, "document %q of application %q", id, application)
	}
	document, err := t.open("ca_evidence.document", id, sealed)
	return e, []byte(document), err
}

func (t caTx) AddEvidence(e ca.Evidence, document []byte) error {
	name, err1 := t.seal("ca_evidence.name", e.ID, e.Name)
	remark, err2 := t.seal("ca_evidence.remark", e.ID, e.Remark)
	sealed, err3 := t.seal("ca_evidence.document", e.ID, string(document))
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	_, err := t.exec(`INSERT INTO ca_evidence (id, application, kind, name, sm3, size, media, by_whom, at, remark, document)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		e.ID, e.Application, e.Kind, name, e.SM3, e.Size, e.Media, e.By, micros(e.At), remark, sealed)
	return err
}
