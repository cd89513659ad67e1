package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"hufu/certs"
	"hufu/certs/bundle"
	"hufu/internal/gm"
	"hufu/licence/card"
	"hufu/seal/ofd"
	"hufu/seal/ses"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sealcheck": main})
}

// TestScripts runs the archives under testdata: read them as a tutorial. The files that they use are made in setup.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("LANG", "en")
			if err := samples(e.WorkDir); err != nil {
				return err
			}
			return made(t, e.WorkDir)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exitcode": exitCode, "objects": objects},
	})
}

// exitCode runs sealcheck and demands its exit code: exitcode 2 FLAG… FILE…
func exitCode(ts *testscript.TestScript, _ bool, args []string) {
	var out, errs bytes.Buffer
	words := slices.Clone(args[1:])
	for i, a := range words { // the command runs in this process: name files of the script's folder in full
		if _, err := os.Stat(ts.MkAbs(a)); err == nil || i > 0 && words[i-1] == "--state" {
			words[i] = ts.MkAbs(a)
		}
	}
	code := run(world{words, strings.NewReader(""), &out, &errs, func() time.Time { return at }, func(string) string { return "" }})
	fmt.Fprint(ts.Stdout(), out.String())
	fmt.Fprint(ts.Stderr(), errs.String())
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d, want %s\n%s%s", code, args[0], out.String(), errs.String())
	}
}

// objects demands a number of JSON objects, one a line, on standard output.
func objects(ts *testscript.TestScript, _ bool, args []string) {
	lines := strings.Split(strings.TrimSpace(ts.ReadFile("stdout")), "\n")
	for _, l := range lines {
		var v map[string]any
		if err := json.Unmarshal([]byte(l), &v); err != nil {
			ts.Fatalf("%s: %v", l, err)
		}
	}
	if fmt.Sprint(len(lines)) != args[0] {
		ts.Fatalf("%d objects, want %s", len(lines), args[0])
	}
}

func samples(dir string) error {
	list, err := filepath.Glob("../../seal/ofd/testdata/*.[oe]*")
	if err != nil || len(list) < 10 {
		return fmt.Errorf("samples: %d, %w", len(list), err)
	}
	for _, name := range list {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// at is the time of the checks, and sealed when the made documents were sealed.
var (
	at     = time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	sealed = time.Date(2026, 3, 1, 2, 3, 4, 0, time.UTC)
)

const identifier = "1.2.156.3005.2.11100000MB03271699022.340100.000000016.001.9"

type party struct {
	cert *certs.Certificate
	key  *gm.PrivateKey
}

// maker makes the files of a small authority; the first error stays.
type maker struct {
	t      testing.TB
	dir    string
	serial int
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (m *maker) issue(ca *party, name string) party {
	key := must(gm.GenerateKey())(m.t)
	m.serial++
	tm := certs.Template{
		Serial: fmt.Appendf(nil, "\x01%015d", m.serial), Subject: certs.NewName(certs.Attribute{Type: certs.OIDCommonName, Value: name}),
		NotBefore: sealed.AddDate(-1, 0, 0), NotAfter: sealed.AddDate(4, 0, 0), PublicKey: key.Public(), SignatureAlgorithm: certs.SM2WithSM3,
		KeyUsage: certs.UsageDigitalSignature | certs.UsageNonRepudiation, MaxPathLen: -1,
	}
	signer := key
	if ca == nil {
		tm.Issuer, tm.IsCA, tm.KeyUsage = tm.Subject, true, certs.UsageCertSign|certs.UsageCRLSign
	} else {
		tm.Issuer, tm.AuthorityKeyID, signer = ca.cert.Subject, ca.cert.SubjectKeyID, ca.key
	}
	return party{must(certs.Create(tm, signer))(m.t), key}
}

func (m *maker) write(name string, data []byte) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, name), data, 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// made writes a sealed licence and its forgeries, a QR text, detached signatures, bundles and keys.
func made(t testing.TB, dir string) error {
	m := &maker{t: t, dir: dir}
	root := m.issue(nil, "root")
	signer, sealMaker, publisher := m.issue(&root, "Bureau"), m.issue(&root, "Seal maker"), m.issue(&root, "Publisher")
	m.bundles(root, signer, publisher)
	m.write("bundle-key.pem", publisher.cert.PEM())
	m.write("other-key.pem", signer.cert.PEM())
	m.write("signer.pem", signer.cert.PEM())

	p := must(ses.NewSeal(ses.SealSpec{
		VendorID: "Hufu", ESID: "33010600000001", Type: 1, Name: "电子证照专用章", Certs: [][]byte{signer.cert.Raw}, Created: sealed.AddDate(0, -1, 0),
		ValidStart: sealed.AddDate(0, -1, 0), ValidEnd: sealed.AddDate(3, 0, 0), Picture: ses.Picture{Type: "PNG", Data: []byte("png"), Width: 40, Height: 40},
	}))(t)
	esl := must(p.Finish(sealMaker.cert.Raw, must(gm.SignMessage(sealMaker.key, p.SignedBytes()))(t)))(t)
	m.write("bureau.esl", esl)
	m.documents(signer, esl)

	text := must(card.MakeQR(card.Shown{
		Identifier: identifier, Title: "营业执照", Issued: at.Add(-time.Minute), Expires: at.Add(time.Hour), Fields: []card.ShownField{{Label: "名称", Value: "甲公司"}},
	}, signer.cert.Raw, signer.key))(t)
	m.write("qr.txt", []byte(text+"\n"))
	m.write("letter.txt", []byte("a letter\n"))
	m.write("letter.txt.p7s", must(certs.BuildSignedData(certs.SignedDataTemplate{Content: []byte("a letter\n"), Detached: true, Certificate: signer.cert, SigningTime: sealed}, signer.key))(t))
	return nil
}

func (m *maker) documents(signer party, esl []byte) {
	doc := ofd.NewDocument(ofd.Info{DocID: "00112233445566778899aabbccddeeff", Title: "营业执照", Created: sealed})
	font := doc.Font(ofd.Font{Name: "宋体"})
	page := doc.Page(210, 297)
	data := &card.Data{
		Format: card.Format, Identifier: identifier, Title: "营业执照", Holder: card.Party{Kind: "entity", Name: "甲公司"}, Issuer: card.Party{Kind: "entity", Name: "某局"},
		Issued: "2026-03-01", ValidFrom: "2026-03-01", Fields: []card.Field{{Name: "name", Label: "名称", Value: "甲公司"}},
	}
	shown := map[string][]ofd.Object{"name": {page.Text(ofd.Text{Value: "甲公司", Font: font, Size: 5, X: 30, Y: 50})}}
	if err := data.Attach(doc, shown); err != nil {
		m.t.Fatal(err)
	}
	c := must(ofd.Open(must(doc.Bytes())(m.t)))(m.t)
	p := must(c.Prepare(ofd.Request{Type: ofd.TypeSeal, Provider: "Hufu", Time: sealed, Seal: esl, Stamps: []ofd.Stamp{{Page: 1, Boundary: ofd.Box{X: 120, Y: 200, W: 40, H: 40}}}}))(m.t)
	q := must(ses.NewSignature(ses.SignatureSpec{Seal: esl, Time: sealed, DataHash: p.Digest(), PropertyInfo: p.PropertyInfo()}))(m.t)
	file := must(p.Finish(must(q.Finish(signer.cert.Raw, must(gm.SignMessage(signer.key, q.SignedBytes()))(m.t)))(m.t)))(m.t)
	m.write("licence.ofd", file)

	c = must(ofd.Open(file))(m.t)
	text, _ := c.Read("Doc_0/Pages/Page_0/Content.xml")
	m.write("forged.ofd", must(c.With("Doc_0/Pages/Page_0/Content.xml", bytes.Replace(text, []byte("甲公司"), []byte("乙公司"), 1)))(m.t).Bytes())
	m.write("more.ofd", must(c.With("Doc_0/hidden.bin", []byte("x")))(m.t).Bytes())
	m.write("cut.ofd", file[:len(file)/2])
}

// bundles writes sequence 6, 7 and another 7.
func (m *maker) bundles(root, signer, publisher party) {
	var crl bytes.Buffer
	if err := certs.WriteCRL(&crl, certs.CRLTemplate{Issuer: root.cert, Number: 1, ThisUpdate: at.Add(-time.Hour), NextUpdate: at.AddDate(0, 0, 1), Entries: func(func(certs.CRLEntry) bool) {}}, root.key); err != nil {
		m.t.Fatal(err)
	}
	b := bundle.Bundle{
		ID: "demo", IssuedAt: at.Add(-2 * time.Hour), NextUpdate: at.AddDate(0, 0, 7), Issuer: "demo", PolicyVersion: "1",
		Authorities: []bundle.Authority{{Certificate: root.cert.Raw, Root: true, Terms: bundle.Terms{Purposes: []bundle.Purpose{bundle.SealSigner, bundle.SealMaker, bundle.Organisation}}}},
		CRLs:        [][]byte{crl.Bytes()}, Signers: [][]byte{signer.cert.Raw},
		Seals:    []bundle.SealStatus{{ID: "33010600000001", State: bundle.Active, Since: sealed.AddDate(0, -1, 0)}},
		Licences: []bundle.StatusEntry{{ID: identifier, State: bundle.Active, Since: sealed}},
	}
	for name, change := range map[string]func(*bundle.Bundle){
		"old.bundle": func(b *bundle.Bundle) { b.Sequence = 6 }, "trust.bundle": func(b *bundle.Bundle) { b.Sequence = 7 },
		"twin.bundle": func(b *bundle.Bundle) { b.Sequence, b.PolicyVersion = 7, "2" },
	} {
		x := b
		change(&x)
		m.write(name, must(bundle.Build(x, publisher.key, publisher.cert))(m.t))
	}
}

func TestPrecedenceOfExitCodes(t *testing.T) {
	dir := t.TempDir()
	if err := samples(dir); err != nil {
		t.Fatal(err)
	}
	if err := made(t, dir); err != nil {
		t.Fatal(err)
	}
	f := func(n string) string { return filepath.Join(dir, n) }
	passed, failed, open, missing := f("licence.ofd"), f("forged.ofd"), f("hello-unsigned.ofd"), f("nothing")
	for want, sets := range map[int][][]string{
		0: {{passed}, {passed, passed}},
		1: {{failed}, {passed, failed}, {open, failed, passed}, {f("cut.ofd")}},
		2: {{open}, {passed, open}},
		3: {{missing}, {passed, missing}, {failed, missing}, {missing, open}, {f("bundle-key.pem")}, {}, {"--nonsense", passed}, {"--at", "today", passed}, {"--lang", "fr", passed}, {"--state", f("s"), "--signer", f("qr.txt"), passed}},
	} {
		for _, files := range sets {
			var out, errs bytes.Buffer
			args := append([]string{"--bundle", f("trust.bundle"), "--bundle-key", f("bundle-key.pem")}, files...)
			code := run(world{args, strings.NewReader(""), &out, &errs, func() time.Time { return at }, func(string) string { return "" }})
			if code != want {
				t.Errorf("%v: exit code %d, want %d\n%s%s", files, code, want, out.String(), errs.String())
			}
			if (code == exitWrong) != (errs.Len() > 0) || strings.Count(errs.String(), "\n") > 1 {
				t.Errorf("%v: stderr %q", files, errs.String())
			}
		}
	}
}

func TestStandardInput(t *testing.T) {
	dir := t.TempDir()
	if err := made(t, dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "qr.txt"))
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--bundle", filepath.Join(dir, "trust.bundle"), "--json", "-"}
	var out bytes.Buffer
	if code := run(world{args, bytes.NewReader(text), &out, io.Discard, func() time.Time { return at }, func(string) string { return "" }}); code != 0 || !strings.Contains(out.String(), `"kind":"qr"`) {
		t.Error(code, out.String())
	}
}

func TestTheLocaleChoosesTheLanguage(t *testing.T) {
	for env, want := range map[string]string{"zh_CN.UTF-8": "zh", "en_US.UTF-8": "en", "": "en", "C": "en"} {
		if got := language(func(n string) string { return map[string]string{"LANG": env}[n] }); got != want {
			t.Errorf("%q: %s", env, got)
		}
	}
}

// TestThereIsNoNetworkInIt: what is not linked in cannot be reached.
func TestThereIsNoNetworkInIt(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, dep := range strings.Fields(string(out)) {
		if dep == "net" || dep == "net/http" || dep == "crypto/tls" || dep == "os/exec" || dep == "runtime/cgo" && os.Getenv("CGO_ENABLED") == "0" {
			t.Errorf("sealcheck links %s", dep)
		}
	}
}

func TestTheBar(t *testing.T) {
	var out bytes.Buffer
	b := &bar{out: &out, files: 2}
	b.step()
	b.step()
	b.end()
	if !strings.Contains(out.String(), "2/2") {
		t.Errorf("%q", out.String())
	}
	if newBar(&out, 100, true) != nil || newBar(os.Stderr, 1, true) != nil {
		t.Error("a bar where there is no terminal, or for one file")
	}
}
