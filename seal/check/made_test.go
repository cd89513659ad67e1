package check

import (
	"bytes"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"hufu/audit/tree"
	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/internal/gm"
	"hufu/licence/card"
	"hufu/seal/ofd"
	"hufu/seal/ses"
)

// signedAt is when the made documents were sealed; the clock is half a year later.
var signedAt = time.Date(2026, 3, 1, 2, 3, 4, 0, time.UTC)

type party struct {
	cert *certs.Certificate
	key  *gm.PrivateKey
}

var serials int

func issue(t testing.TB, ca *party, name string, change func(*certs.Template)) party {
	t.Helper()
	key, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	serials++
	tm := certs.Template{
		Serial:    fmt.Appendf(nil, "\x01%015d", serials),
		Subject:   certs.NewName(certs.Attribute{Type: certs.OIDCountry, Value: "CN"}, certs.Attribute{Type: certs.OIDCommonName, Value: name}),
		NotBefore: signedAt.AddDate(-1, 0, 0), NotAfter: signedAt.AddDate(3, 0, 0), PublicKey: key.Public(),
		KeyUsage: certs.UsageDigitalSignature | certs.UsageNonRepudiation, MaxPathLen: -1,
	}
	signer := key
	if ca != nil {
		tm.Issuer, tm.AuthorityKeyID, signer = ca.cert.Subject, ca.cert.SubjectKeyID, ca.key
	} else {
		tm.Issuer = tm.Subject
	}
	if change != nil {
		change(&tm)
	}
	if tm.SignatureAlgorithm, err = certs.SigningAlgorithm(signer.Public()); err != nil {
		t.Fatal(err)
	}
	c, err := certs.Create(tm, signer)
	if err != nil {
		t.Fatal(err)
	}
	return party{c, key}
}

func asCA(tm *certs.Template) { tm.IsCA, tm.KeyUsage = true, certs.UsageCertSign|certs.UsageCRLSign }

// world is a root with everybody under it, a seal, a log and what a bundle says of them.
type world struct {
	t                         testing.TB
	root, signer, maker, tsa  party
	publisher                 party
	spec                      ses.SealSpec
	seal                      []byte
	logKey                    party
	log                       *tree.Key
	revoked                   []certs.CRLEntry
	change                    func(*bundle.Bundle)
	crlThis, crlNext, bundled time.Time
}

const licenceID = "1.2.156.3005.2.11100000MB03271699022.340100.000000016.001.9"

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, crlThis: clock.Add(-time.Hour), crlNext: clock.Add(24 * time.Hour), bundled: clock.Add(-2 * time.Hour)}
	w.root = issue(t, nil, "根", asCA)
	w.signer = issue(t, &w.root, "某局印章", nil)
	w.maker = issue(t, &w.root, "制章人", nil)
	w.tsa = issue(t, &w.root, "TSA", func(tm *certs.Template) {
		tm.ExtKeyUsage, tm.ExtKeyUsageCritical = []certs.OID{certs.OIDTimeStamping}, true
	})
	w.publisher = issue(t, &w.root, "信任包", nil)
	w.logKey = issue(t, nil, "log", nil)
	var err error
	if w.log, err = tree.NewKey("log.example", tree.Log, w.logKey.key.Public()); err != nil {
		t.Fatal(err)
	}
	w.spec = ses.SealSpec{
		VendorID: "Hufu", ESID: "33010600000001", Type: 1, Name: "某局电子证照专用章", Certs: [][]byte{w.signer.cert.Raw},
		Created: signedAt.AddDate(0, -1, 0), ValidStart: signedAt.AddDate(0, -1, 0), ValidEnd: signedAt.AddDate(3, 0, 0),
		Picture: ses.Picture{Type: "PNG", Data: []byte("png"), Width: 40, Height: 40},
	}
	w.remake()
	return w
}

// remake makes the seal from spec.
func (w *world) remake() {
	w.t.Helper()
	p, err := ses.NewSeal(w.spec)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.seal, err = p.Finish(w.maker.cert.Raw, sign(w.t, w.maker.key, p.SignedBytes())); err != nil {
		w.t.Fatal(err)
	}
}

func sign(t testing.TB, k *gm.PrivateKey, m []byte) []byte {
	t.Helper()
	sig, err := gm.SignMessage(k, m)
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// options gives a bundle that was built, signed and parsed again.
func (w *world) options() Options {
	w.t.Helper()
	var crl bytes.Buffer
	err := certs.WriteCRL(&crl, certs.CRLTemplate{
		Issuer: w.root.cert, Number: 1, ThisUpdate: w.crlThis, NextUpdate: w.crlNext,
		Entries: func(yield func(certs.CRLEntry) bool) {
			for _, e := range w.revoked {
				if !yield(e) {
					return
				}
			}
		},
	}, w.root.key)
	if err != nil {
		w.t.Fatal(err)
	}
	b := bundle.Bundle{
		ID: "test", Sequence: 3, IssuedAt: w.bundled, NextUpdate: clock.AddDate(0, 0, 7), Issuer: "测试", PolicyVersion: "1",
		Authorities: []bundle.Authority{{Certificate: w.root.cert.Raw, Root: true, Terms: bundle.Terms{Purposes: []bundle.Purpose{bundle.SealSigner, bundle.SealMaker, bundle.TimeStamp, bundle.Organisation}}}},
		CRLs:        [][]byte{crl.Bytes()}, Signers: [][]byte{w.signer.cert.Raw},
		Seals:    []bundle.SealStatus{{ID: w.spec.ESID, State: bundle.Active, Since: signedAt.AddDate(0, -1, 0)}},
		Licences: []bundle.StatusEntry{{ID: licenceID, State: bundle.Active, Since: signedAt}},
		Logs:     []bundle.LogKey{{Key: w.log.String()}},
	}
	if w.change != nil {
		w.change(&b)
	}
	der, err := bundle.Build(b, w.publisher.key, w.publisher.cert)
	if err != nil {
		w.t.Fatal(err)
	}
	parsed, info, err := bundle.Parse(der, bundle.PinKey(w.publisher.cert.PublicKey))
	if err != nil {
		w.t.Fatal(err)
	}
	return Options{Bundle: parsed, BundleInfo: info, At: clock, Lang: "en", Reader: cardReader()}
}

// cardReader wires package licence/card as the programs do.
func cardReader() *LicenceReader {
	facts := func(d *card.Data, err error) (Facts, error) {
		var f Facts
		if d == nil {
			return f, err
		}
		f.Identifier, f.Title, f.Holder, f.Issuer = d.Identifier, d.Title, d.Holder.Name, d.Issuer.Name
		for _, x := range d.Fields {
			f.Fields = append(f.Fields, Field{x.Name, x.Label, x.Printed()})
		}
		f.ValidFrom, _ = StartOfDay(d.ValidFrom)
		f.ValidTo, _ = EndOfDay(d.ValidTo)
		if errors.Is(err, card.ErrCheck) || errors.Is(err, card.ErrIdentifier) {
			f.IdentifierErr, err = err, nil
		}
		return f, err
	}
	return &LicenceReader{
		File: card.AttachmentFile, Space: card.TagSpace, IsQR: card.IsQR, KeyID: card.KeyID,
		Data: func(raw []byte) (Facts, error) { return facts(card.ParseData(raw)) },
		QR: func(text string) (QRText, error) {
			q, err := card.ParseQR(text)
			if err != nil {
				return nil, err
			}
			return qrText{q}, nil
		},
	}
}

type qrText struct{ q *card.QR }

func (x qrText) Facts() Facts {
	f := Facts{Licence: Licence{Identifier: x.q.Identifier, Title: x.q.Title, Fields: []Field{}}}
	if _, err := card.ParseIdentifier(x.q.Identifier); err != nil {
		f.IdentifierErr = err
	}
	return f
}
func (x qrText) KeyID() []byte                     { return x.q.KeyID }
func (x qrText) Life() (time.Time, time.Time)      { return x.q.Issued, x.q.Expires }
func (x qrText) Verify(pub *ecdsa.PublicKey) error { return x.q.Verify(pub) }

func data() *card.Data {
	return &card.Data{
		Format: card.Format, Identifier: licenceID, Title: "营业执照", Holder: card.Party{Kind: "entity", Name: "杭州甲有限公司"},
		Issuer: card.Party{Kind: "entity", Name: "某某市场监督管理局"}, Issued: "2026-03-01", ValidFrom: "2026-03-01", ValidTo: "2031-02-28",
		Fields: []card.Field{
			{Name: "name", Label: "名称", Value: "杭州甲有限公司"},
			{Name: "founded", Label: "成立日期", Value: "2026-01-02", Text: "2026年1月2日"},
		},
	}
}

// unsealed is a licence of one page, with data attached and bound.
func unsealed(t testing.TB) []byte {
	t.Helper()
	doc := ofd.NewDocument(ofd.Info{DocID: "00112233445566778899aabbccddeeff", Title: "营业执照", Created: signedAt})
	font := doc.Font(ofd.Font{Name: "宋体"})
	page := doc.Page(210, 297)
	shown := map[string][]ofd.Object{
		"name": {
			page.Text(ofd.Text{Value: "杭州甲", Font: font, Size: 5, X: 30, Y: 50}),
			page.Text(ofd.Text{Value: "有限公司", Font: font, Size: 5, X: 30, Y: 58}),
		},
		"founded": {page.Text(ofd.Text{Value: "2026年1月2日", Font: font, Size: 5, X: 30, Y: 66})},
	}
	if err := data().Attach(doc, shown); err != nil {
		t.Fatal(err)
	}
	b, err := doc.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// how says how a document is sealed.
type how struct {
	at     time.Time               // claimed
	edit   func(xml string) string // of Signature.xml, before it is signed
	stamp  time.Time               // time-stamp; zero: none
	log    time.Time               // log entry; zero: none
	whole  bool
	kind   ofd.Type
	cms    *certs.SignedDataTemplate // for TypeSign
	signer *party
	stamps []ofd.Stamp
	value  func([]byte) []byte // of the finished value
}

// sealed seals a document as how says.
func (w *world) sealed(file []byte, h how) []byte {
	w.t.Helper()
	if h.at.IsZero() {
		h.at = signedAt
	}
	if h.kind == "" {
		h.kind = ofd.TypeSeal
	}
	if h.signer == nil {
		h.signer = &w.signer
	}
	if h.stamps == nil {
		h.stamps = []ofd.Stamp{{Page: 1, Boundary: ofd.Box{X: 120, Y: 200, W: 40, H: 40}}}
	}
	c, err := ofd.Open(file)
	if err != nil {
		w.t.Fatal(err)
	}
	p, err := c.Prepare(ofd.Request{Type: h.kind, Provider: "Hufu", Time: h.at, Seal: w.seal, Stamps: h.stamps, WholeProtected: h.whole})
	if err != nil {
		w.t.Fatal(err)
	}
	xml := p.SignatureXML()
	if h.edit != nil {
		edited := []byte(h.edit(string(xml)))
		if bytes.Equal(edited, xml) {
			w.t.Fatal("the edit did nothing")
		}
		xml = edited
	}
	value, over := w.value(h, xml, p.PropertyInfo())
	if h.value != nil {
		value = h.value(value)
	}
	out, err := p.Finish(value)
	if err != nil {
		w.t.Fatal(err)
	}
	out = replace(w.t, out, strings.TrimPrefix(p.PropertyInfo(), "/"), xml)
	if !h.log.IsZero() {
		out = replace(w.t, out, p.LogProofPath(), w.proof(over, h.log))
	}
	return out
}

// value signs xml, and gives the octets that a time-stamp or log entry is about.
func (w *world) value(h how, xml []byte, info string) (value, over []byte) {
	w.t.Helper()
	if h.kind == ofd.TypeSign {
		h.cms.Certificate = h.signer.cert
		value, err := certs.BuildSignedData(*h.cms, h.signer.key)
		if err != nil {
			w.t.Fatal(err)
		}
		return value, value
	}
	q, err := ses.NewSignature(ses.SignatureSpec{Seal: w.seal, Time: h.at, DataHash: gm.SM3(xml), PropertyInfo: info})
	if err != nil {
		w.t.Fatal(err)
	}
	sig := sign(w.t, h.signer.key, q.SignedBytes())
	if value, err = q.Finish(h.signer.cert.Raw, sig); err != nil {
		w.t.Fatal(err)
	}
	if !h.stamp.IsZero() {
		if value, err = ses.SignatureWithTimeStamp(value, w.token(sig, h.stamp)); err != nil {
			w.t.Fatal(err)
		}
	}
	return value, sig
}

func (w *world) token(over []byte, at time.Time) []byte {
	w.t.Helper()
	sum := gm.SM3(over)
	token, err := certs.BuildTimeStamp(certs.TimeStampInfo{Policy: "1.2.3.4", Hash: certs.OIDSM3, Imprint: sum[:], Serial: []byte{1}, Time: at}, w.tsa.cert, w.tsa.key, true)
	if err != nil {
		w.t.Fatal(err)
	}
	return token
}

// proof puts an entry about a signature into a log of three.
func (w *world) proof(over []byte, at time.Time) []byte {
	w.t.Helper()
	entry := fmt.Appendf(nil, `{"action":"seal.use","at":%q,"public":{"signature":%q}}`, at.UTC().Format("2006-01-02T15:04:05.000000Z"), LogValue(over))
	leaves := []tree.Hash{tree.LeafHash([]byte("a")), tree.LeafHash(entry), tree.LeafHash([]byte("b"))}
	tiles := map[tree.Tile][]byte{}
	read := func(x tree.Tile) ([]byte, error) { return tiles[x], nil }
	head, added, err := tree.Append(tree.Head{Root: tree.EmptyRoot()}, read, leaves)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, x := range added {
		tiles[x.Tile] = x.Data
	}
	hashes, err := tree.Inclusion(1, 3, read)
	if err != nil {
		w.t.Fatal(err)
	}
	signed, err := tree.Sign(tree.Checkpoint{Origin: w.log.Name(), Head: head}, w.log, w.logKey.key)
	if err != nil {
		w.t.Fatal(err)
	}
	return tree.Proof{Entry: entry, Index: 1, Hashes: hashes, Checkpoint: signed}.Text()
}

// replace puts a file in, or another in its place.
func replace(t testing.TB, file []byte, name string, data []byte) []byte {
	t.Helper()
	c, err := ofd.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = c.With(name, data); err != nil {
		t.Fatal(err)
	}
	return c.Bytes()
}

// editFile changes a file of the container by text.
func editFile(t testing.TB, file []byte, name, old, new string) []byte {
	t.Helper()
	c, err := ofd.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	b, ok := c.Read(name)
	if !ok || !bytes.Contains(b, []byte(old)) {
		t.Fatalf("%s has no %q", name, old)
	}
	return replace(t, file, name, bytes.Replace(b, []byte(old), []byte(new), 1))
}
