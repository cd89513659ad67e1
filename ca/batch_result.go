package ca

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"hufu/certs"
	"hufu/internal/actor"
)

// WriteBatchResult writes what became of a batch's rows as CSV in UTF-8 with byte order mark: row, state, code, error_zh,
// error_en, application, serials. No cell begins like a formula. The maker may, and officers.
func (a *Authority) WriteBatchResult(ctx context.Context, by actor.Actor, id string, out io.Writer) error {
	if _, err := io.WriteString(out, "\uFEFF"); err != nil {
		return err
	}
	w := csv.NewWriter(out)
	if err := w.Write(append([]string{"row"}, resultColumns...)); err != nil {
		return err
	}
	err := a.eachRow(ctx, by, RowFilter{Batch: id}, func(r RowResult) error {
		record := []string{
			strconv.Itoa(r.Number), r.Stands, r.Code, r.Text.ZH, r.Text.EN, r.Application, strings.Join(r.Applied.Certificates, " "),
		}
		for i := range record {
			record[i] = safeCell(record[i])
		}
		return w.Write(record)
	})
	w.Flush()
	if err == nil {
		err = w.Error()
	}
	return err
}

// maxPacked is how many rows' certificates one file has: what can be packed within the time of a request.
const maxPacked = 10_000

// packed goes through the rows behind one, as many as one file has.
func (a *Authority) packed(ctx context.Context, by actor.Actor, id string, after int, do func(RowResult) error) error {
	err := a.eachRow(ctx, by, RowFilter{Batch: id, After: after}, func(r RowResult) error {
		if r.Number > after+maxPacked {
			return io.EOF
		}
		return do(r)
	})
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// eachRow goes through rows page by page.
func (a *Authority) eachRow(ctx context.Context, by actor.Actor, f RowFilter, do func(RowResult) error) error {
	for {
		rows, err := a.BatchRows(ctx, by, f)
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, r := range rows {
			if err := do(r); err != nil {
				return err
			}
		}
		f.After = rows[len(rows)-1].Number
	}
}

// WriteBatchCertificates writes the certificates of a batch as one zip: ROW-SERIAL.pem for each, ROW-envelope.der for the
// private key of an encryption certificate (SM2EnvelopedKey, which the holder's signing key opens), and chain.pem, the
// issuers'. It has the 10,000 rows behind after. Its maker may, and officers.
func (a *Authority) WriteBatchCertificates(ctx context.Context, by actor.Actor, id string, after int, out io.Writer) error {
	z := zip.NewWriter(out)
	issuers := map[string]*certs.Certificate{}
	err := a.packed(ctx, by, id, after, func(r RowResult) error {
		return a.packRow(ctx, by, r, z, issuers)
	})
	if err != nil {
		return err
	}
	w, err := z.Create("chain.pem")
	if err != nil {
		return err
	}
	for _, c := range issuers {
		if _, err := w.Write(c.PEM()); err != nil {
			return err
		}
	}
	return z.Close()
}

func (a *Authority) packRow(ctx context.Context, by actor.Actor, r RowResult, z *zip.Writer, issuers map[string]*certs.Certificate) error {
	for _, serial := range r.Applied.Certificates {
		chain, err := a.Chain(ctx, by, serial)
		if err != nil {
			return err
		}
		w, err := z.Create(fmt.Sprintf("%06d-%s.pem", r.Number, serial))
		if err != nil {
			return err
		}
		if _, err := w.Write(chain[0].PEM()); err != nil {
			return err
		}
		for _, c := range chain[1:] {
			issuers[hex.EncodeToString(c.Serial)] = c
		}
	}
	if len(r.Applied.Envelope) == 0 {
		return nil
	}
	w, err := z.Create(fmt.Sprintf("%06d-envelope.der", r.Number))
	if err != nil {
		return err
	}
	_, err = w.Write(r.Applied.Envelope)
	return err
}

// WriteBatchPEM writes the certificates of a batch as one text, by row: of the 10,000 rows behind after.
func (a *Authority) WriteBatchPEM(ctx context.Context, by actor.Actor, id string, after int, out io.Writer) error {
	return a.packed(ctx, by, id, after, func(r RowResult) error {
		var text bytes.Buffer
		for _, serial := range r.Applied.Certificates {
			chain, err := a.Chain(ctx, by, serial)
			if err != nil {
				return err
			}
			fmt.Fprintf(&text, "# row %d\n", r.Number)
			text.Write(chain[0].PEM())
		}
		_, err := out.Write(text.Bytes())
		return err
	})
}
