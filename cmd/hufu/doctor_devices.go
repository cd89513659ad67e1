package main

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"hufu/hsm"
	"hufu/internal/fault"
	"hufu/internal/gm"
	"hufu/keys"
	"hufu/store"
)

// devices opens each device by itself, without waiting, and tells what it is and holds. It returns all keys that it saw, nil
// when a device could not be read.
func (c *doctorCommand) devices(con *console, cfg Config, tell func(string, error)) []hsm.Info {
	entries, whole := cfg.HSM, true
	if len(entries) == 0 {
		entries = []HSM{{Driver: driverSoft}}
	}
	held := []hsm.Info{}
	for _, entry := range entries {
		if entry.Driver == driverSoft {
			device, err := openSoft(cfg, false)
			found, ok := examine(con, "key store in "+filepath.Join(cfg.Data, "keys"), device, err, tell)
			held, whole = append(held, found...), whole && ok
			continue
		}
		readable := false // one of those with the same keys suffices for comparing
		for _, o := range entry.openers(slog.New(slog.DiscardHandler), false) {
			device, err := o.bounded(con.ctx)
			found, ok := examine(con, "device "+o.name, device, err, tell)
			held, readable = append(held, found...), readable || ok
		}
		whole = whole && readable
	}
	if !whole {
		return nil
	}
	return held
}

// examine tells one device and closes it.
func examine(con *console, what string, device hsm.Device, err error, tell func(string, error)) (held []hsm.Info, ok bool) {
	if err != nil {
		tell(what, err)
		return nil, false
	}
	defer device.Close()
	tell(what, device.Health(con.ctx))
	out := tabwriter.NewWriter(con.out, 0, 0, 2, ' ', 0)
	defer out.Flush()
	if d, described := device.(hsm.Described); described {
		for _, f := range d.Describe(con.ctx) {
			fmt.Fprintf(out, "       %s\t%s\n", f.Name, flat(f.Value))
		}
	}
	held, err = device.Keys(con.ctx)
	if err != nil {
		tell(what+": list of keys", err)
		return nil, false
	}
	for _, k := range held {
		fmt.Fprintf(out, "       key %s\t%s, %s\t%s\t%s\n", k.Label, k.Algorithm, k.Use, k.Purpose, keyPrint(k))
	}
	return held, true
}

// keyPrint is the SM3 of the public half in its usual encoding, nothing for a secret key.
func keyPrint(k hsm.Info) string {
	var encoded []byte
	switch pub := k.Public.(type) {
	case *ecdsa.PublicKey:
		encoded = gm.Point(pub)
	case *rsa.PublicKey:
		encoded = x509.MarshalPKCS1PublicKey(pub)
	default:
		return ""
	}
	sum := gm.SM3(encoded)
	return "SM3 " + hex.EncodeToString(sum[:])
}

var errKeyGone = fault.New(fault.Unavailable, "key-gone",
	"The database names a key that no device holds. Connect the device that it was made in, or restore the key from the device's own backup.",
	"数据库中登记的密钥在任何设备中都不存在。请接入生成该密钥的设备，或用设备自身的备份恢复。")

// checkKeys holds what the devices have against what the database names. A key that nothing names does no harm: a crash
// while it was made, another program on the same token, or a backup that was put back.
func checkKeys(con *console, cfg Config, held []hsm.Info, tell func(string, error)) {
	named, err := namedKeys(con, cfg)
	if err != nil {
		return // the line about the database has said so
	}
	for _, v := range named {
		if v.State != keys.Active && v.State != keys.Published && v.State != keys.Retired {
			continue
		}
		if !slices.ContainsFunc(held, func(k hsm.Info) bool { return k.Label == v.Reference }) {
			tell("key "+v.String(), errKeyGone.With("%s, %s", v.Reference, v.State))
		}
	}
	for i, k := range held {
		orphan := !slices.ContainsFunc(named, func(v keys.Version) bool { return v.Reference == k.Label })
		again := slices.ContainsFunc(held[:i], func(o hsm.Info) bool { return o.Label == k.Label })
		if orphan && !again {
			_, _ = io.WriteString(con.out, "note   key "+k.Label+" is in a device, but the database does not name it\n")
		}
	}
}

func namedKeys(con *console, cfg Config) (named []keys.Version, err error) {
	if err := databaseFile(cfg); err != nil {
		return nil, err
	}
	db, err := store.Open(con.ctx, cfg.dsn(), store.Options{})
	if err != nil {
		return nil, err
	}
	defer db.Close()
	err = db.Keys().View(con.ctx, func(r keys.R) (err error) {
		named, err = r.Versions("")
		return err
	})
	return named, err
}
