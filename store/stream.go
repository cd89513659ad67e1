package store

import (
	"encoding/binary"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"hufu/ca"
	"hufu/certs"
)

// stream is walk on PostgreSQL for rows of one BYTEA and three BIGINT: serial, time, reason, invalidity date. It takes the
// octets as they come over the wire. database/sql would make values of them first, and a list of a million entries pays
// for each. Nothing of a row is kept: r.Serial is good until f returns.
func (t caTx) stream(f func(ca.Revocation) error, query string, args ...any) error {
	if err := t.flush(); err != nil {
		return err
	}
	args = append([]any{pgx.QueryResultFormats{pgx.BinaryFormatCode}}, args...)
	return t.conn.Raw(func(driver any) error {
		c, ok := driver.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("the connection is a %T", driver)
		}
		rows, err := c.Conn().Query(t.ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			r, err := binaryRevocation(rows.RawValues())
			if err != nil {
				return err
			}
			if err := f(r); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// binaryRevocation reads a row in PostgreSQL's binary form: octets as they are, a BIGINT as eight octets, big-endian.
func binaryRevocation(row [][]byte) (r ca.Revocation, err error) {
	if len(row) != 4 || len(row[1]) != 8 || len(row[2]) != 8 || len(row[3]) != 8 {
		return r, fmt.Errorf("a row of %d columns, not of a serial and three numbers", len(row))
	}
	number := func(i int) int64 { return int64(binary.BigEndian.Uint64(row[i])) }
	return ca.Revocation{
		Serial: row[0], At: fromMicros(number(1)), Reason: certs.Reason(number(2)), Invalid: fromMicros(number(3)),
	}, nil
}
