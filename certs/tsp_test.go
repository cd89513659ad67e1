package certs

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/emmansun/gmsm/smx509"

	"hufu/internal/gm"
)

const stampPolicy OID = "1.2.156.10197.99.1"

var stamped = []byte("signature value octets")

// criticalEKU makes time-stamping the only extended key usage, and critical; the DER holds the OIDs of kinds.
func criticalEKU(t testing.TB) certOption {
	return critical(t, "\x30\x0a\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x08")
}

func newTSA(t testing.TB, sm2 bool) (ca, tsa party) {
	t.Helper()
	ca = newCA(t, "TSA Root", sm2)
	return ca, issue(t, ca, "TSA", sm2, criticalEKU(t))
}

func stampInfo(request TimeStampRequest) TimeStampInfo {
	return TimeStampInfo{
		Policy: stampPolicy, Hash: request.Hash, Imprint: request.Imprint, Nonce: request.Nonce,
		Serial: []byte{0x90, 1, 2, 3}, Time: day, Accuracy: time.Second + 500*time.Millisecond + 20*time.Microsecond,
	}
}

func stamp(t testing.TB, info TimeStampInfo, tsa party) []byte {
	t.Helper()
	token, err := BuildTimeStamp(info, tsa.Certificate, tsa.key, true)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func parseStamp(t testing.TB, token []byte) *TimeStamp {
	t.Helper()
	ts, err := ParseTimeStamp(token)
	if err != nil {
		t.Fatal(err)
	}
	return ts
}

func TestTimeStampRequest(t *testing.T) {
	want := NewTimeStampRequest(stamped)
	want.Policy = stampPolicy
	der, err := want.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseTimeStampRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	if got.Hash != OIDSM3 || !bytes.Equal(got.Imprint, want.Imprint) || !bytes.Equal(got.Nonce, want.Nonce) || got.Policy != stampPolicy || !got.Certificate {
		t.Errorf("request %+v", got)
	}
	if again, err := got.Marshal(); err != nil || !bytes.Equal(again, der) {
		t.Errorf("parse, then build gives other octets: %v", err)
	}
	sum := gm.SM3(stamped)
	plain, err := (TimeStampRequest{Hash: OIDSM3, Imprint: sum[:]}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if golden := "3033" + "020101" + "302e" + "300a06082a811ccf55018311" + "0420" + hex.EncodeToString(sum[:]); hex.EncodeToString(plain) != golden {
		t.Errorf("got %x, want %s", plain, golden)
	}
	if _, err := ParseTimeStampRequest(append(bytes.Clone(der), 0)); !errors.Is(err, ErrTrailing) {
		t.Errorf("trailing octet: %v", err)
	}
	for name, bad := range map[string]TimeStampRequest{
		"SHA-1": {Hash: OIDSHA1, Imprint: make([]byte, 20)}, "short": {Hash: OIDSM3, Imprint: make([]byte, 31)}, "none": {Hash: OIDSM3},
	} {
		if _, err := bad.Marshal(); err == nil {
			t.Errorf("%s: built", name)
		}
		var b []byte
		b = append(b, 0x02, 1, 1)
		algorithm, _ := bad.Hash.content()
		imprint := append(append(appendHeader(nil, 0x30, len(algorithm)+2), 6, byte(len(algorithm))), algorithm...)
		imprint = append(append(imprint, appendHeader(nil, 4, len(bad.Imprint))...), bad.Imprint...)
		b = append(append(b, appendHeader(nil, 0x30, len(imprint))...), imprint...)
		if _, err := ParseTimeStampRequest(append(appendHeader(nil, 0x30, len(b)), b...)); err == nil {
			t.Errorf("%s: parsed", name)
		}
	}
}

func TestTimeStampRoundTrip(t *testing.T) {
	for _, sm2 := range []bool{true, false} {
		_, tsa := newTSA(t, sm2)
		request := NewTimeStampRequest(stamped)
		info := stampInfo(request)
		info.TSA, info.Ordering = tsa.Subject, true
		response, err := BuildTimeStampResponse(stamp(t, info, tsa))
		if err != nil {
			t.Fatal(err)
		}
		r, err := ParseTimeStampResponse(response)
		if err != nil {
			t.Fatal(err)
		}
		ts, err := r.Check(request)
		if err != nil {
			t.Fatal(err)
		}
		cert, notes, err := ts.Verify(stamped, day)
		if err != nil || len(notes) != 0 || !bytes.Equal(cert.Raw, tsa.Raw) {
			t.Fatalf("%v, %q", err, notes)
		}
		got := ts.Info
		if got.Policy != info.Policy || !got.Time.Equal(day) || got.Accuracy != info.Accuracy || !got.Ordering || !bytes.Equal(integerOctets(got.Serial), integerOctets(info.Serial)) ||
			!got.TSA.Equal(tsa.Subject) || (ts.Signed.Type == OIDGMSignedData) != sm2 {
			t.Errorf("time-stamp %+v", got)
		}
		bare, err := BuildTimeStamp(info, tsa.Certificate, tsa.key, false)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := parseStamp(t, bare).Verify(stamped, day); !errors.Is(err, ErrNoSigner) {
			t.Errorf("without certificate: %v", err)
		}
		if _, _, err := parseStamp(t, bare).Verify(stamped, day, tsa.Certificate); err != nil {
			t.Errorf("certificate given: %v", err)
		}
	}
}

func TestTimeStampRefusesAnswersToOtherRequests(t *testing.T) {
	_, tsa := newTSA(t, true)
	request := NewTimeStampRequest(stamped)
	request.Policy = stampPolicy
	for name, edit := range map[string]func(*TimeStampInfo){
		"nonce": func(i *TimeStampInfo) { i.Nonce = []byte{1} }, "no nonce": func(i *TimeStampInfo) { i.Nonce = nil },
		"imprint": func(i *TimeStampInfo) { i.Imprint = make([]byte, 32) }, "policy": func(i *TimeStampInfo) { i.Policy = "1.2.3" },
		"hash": func(i *TimeStampInfo) { i.Hash = OIDSHA256 },
	} {
		info := stampInfo(request)
		edit(&info)
		r := TimeStampResponse{Granted: true, Token: stamp(t, info, tsa)}
		if _, err := r.Check(request); err == nil {
			t.Errorf("another %s: taken", name)
		}
	}
	if _, err := (&TimeStampResponse{}).Check(request); err == nil {
		t.Error("a refusal was taken")
	}
}

func TestTimeStampVerifyRefuses(t *testing.T) {
	ca, tsa := newTSA(t, true)
	info := stampInfo(NewTimeStampRequest(stamped))
	ts := parseStamp(t, stamp(t, info, tsa))
	if _, _, err := ts.Verify([]byte("something else"), day); !errors.Is(err, ErrSignature) {
		t.Errorf("another message: %v", err)
	}
	if _, _, err := ts.Verify(stamped, day.Add(-time.Second)); !errors.Is(err, ErrNotYet) {
		t.Errorf("from the future: %v", err)
	}
	for name, options := range map[string][]certOption{
		"not critical": {withEKU(smx509.ExtKeyUsageTimeStamping)},
		"not alone":    {critical(t, "\x30\x14\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x08\x06\x08\x2b\x06\x01\x05\x05\x07\x03\x02")},
		"none":         nil,
	} {
		p := issue(t, ca, "Plain", true, options...)
		if _, err := BuildTimeStamp(info, p.Certificate, p.key, true); !errors.Is(err, ErrWrongIssuer) {
			t.Errorf("%s: built: %v", name, err)
		}
		pretended := *p.Certificate // as an attacker with such a certificate builds it
		pretended.ExtKeyUsage, pretended.Extensions = []OID{OIDTimeStamping}, tsa.Extensions
		token, err := BuildTimeStamp(info, &pretended, p.key, true)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := parseStamp(t, token).Verify(stamped, day); !errors.Is(err, ErrWrongIssuer) {
			t.Errorf("%s: verified: %v", name, err)
		}
	}
	ended := issue(t, ca, "TSA", true, criticalEKU(t), validFrom(day.AddDate(-2, 0, 0), day.AddDate(-1, 0, 0)))
	if _, err := BuildTimeStamp(info, ended.Certificate, ended.key, true); !errors.Is(err, ErrStale) {
		t.Errorf("ended authority: %v", err)
	}
	// Another certificate of the same key, issuer and serial number: the signed attribute names the first.
	other := *tsa.Certificate
	other.Raw = append(bytes.Clone(tsa.Raw), 0)
	bare, err := BuildTimeStamp(info, tsa.Certificate, tsa.key, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := parseStamp(t, bare).Verify(stamped, day, &other); !errors.Is(err, ErrSignature) {
		t.Errorf("exchanged certificate: %v", err)
	}
	// A plain SignedData over the same content is no token.
	content, err := info.marshal()
	if err != nil {
		t.Fatal(err)
	}
	for name, template := range map[string]SignedDataTemplate{
		"no attributes": {Content: content, ContentType: OIDTSTInfo}, "other type": {Content: content, WithAttributes: true},
	} {
		if _, err := ParseTimeStamp(signData(t, template, tsa)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTimeStampRefusesEveryEdit(t *testing.T) {
	_, tsa := newTSA(t, true)
	token := stamp(t, stampInfo(NewTimeStampRequest(stamped)), tsa)
	original := parseStamp(t, token)
	for i := range token {
		bad := bytes.Clone(token)
		bad[i] ^= 1
		ts, err := ParseTimeStamp(bad)
		if err != nil {
			continue
		}
		if _, _, err := ts.Verify(stamped, day); err == nil && !bytes.Equal(ts.Signed.Content, original.Signed.Content) {
			t.Errorf("octet %d of %d changed and nobody noticed", i, len(token))
		}
	}
}

func TestTimeStampRejection(t *testing.T) {
	for failure, golden := range map[TimeStampFailure]string{
		TimeStampBadAlgorithm: "03020780", TimeStampBadRequest: "03020520", TimeStampTimeNotAvailable: "0303010002", TimeStampSystemFailure: "03050600000040",
	} {
		der, err := BuildTimeStampRejection(failure, "请稍后再试")
		if err != nil || !strings.HasSuffix(hex.EncodeToString(der), golden) {
			t.Errorf("failure %d: %x, %v", failure, der, err)
		}
		r, err := ParseTimeStampResponse(der)
		if err != nil || r.Granted || r.Failure != failure || len(r.Text) != 1 || r.Text[0] != "请稍后再试" || r.Token != nil {
			t.Errorf("failure %d: %+v, %v", failure, r, err)
		}
	}
	if _, err := ParseTimeStampResponse([]byte("\x30\x05\x30\x03\x02\x01\x00")); err == nil {
		t.Error("granted without a token")
	}
}

func TestTimeStampByOpenSSL(t *testing.T) {
	dir := t.TempDir()
	ca, tsa := newTSA(t, false)
	writeFile(t, dir, "ca.pem", EncodePEM("CERTIFICATE", ca.Raw))
	writeFile(t, dir, "data", stamped)
	for _, hash := range []string{"-sha256", "-sm3"} {
		openssl(t, dir, "ts", "-query", "-data", "data", hash, "-cert", "-out", "q.tsq")
		request, err := ParseTimeStampRequest(readFile(t, dir, "q.tsq"))
		if err != nil {
			t.Fatal(err)
		}
		info := stampInfo(*request)
		info.TSA = tsa.Subject
		response, err := BuildTimeStampResponse(stamp(t, info, tsa))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, dir, "r.tsr", response)
		if out := openssl(t, dir, "ts", "-verify", "-queryfile", "q.tsq", "-in", "r.tsr", "-CAfile", "ca.pem"); !strings.Contains(out, "Verification: OK") {
			t.Errorf("%s: openssl says: %s", hash, out)
		}
		if out := openssl(t, dir, "ts", "-reply", "-in", "r.tsr", "-text"); !strings.Contains(out, "Nov 20 08:00:00 2026 GMT") || !strings.Contains(out, "Accuracy: 0x01 seconds, 0x01F4 millis, 0x14 micros") {
			t.Errorf("%s: openssl reads: %s", hash, out)
		}
	}
	rejection, err := BuildTimeStampRejection(TimeStampUnacceptedPolicy, "no")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "no.tsr", rejection)
	if out := openssl(t, dir, "ts", "-reply", "-in", "no.tsr", "-text"); !strings.Contains(out, "Rejected") || !strings.Contains(out, "policy") {
		t.Errorf("openssl reads the refusal as: %s", out)
	}
}

func FuzzParseTimeStampRequest(f *testing.F) {
	der, err := NewTimeStampRequest(stamped).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Fuzz(func(t *testing.T, der []byte) {
		if r, err := ParseTimeStampRequest(der); err == nil {
			if _, err := r.Marshal(); err != nil {
				t.Errorf("cannot be written again: %v", err)
			}
		}
	})
}

func FuzzParseTimeStampResponse(f *testing.F) {
	_, tsa := newTSA(f, true)
	response, err := BuildTimeStampResponse(stamp(f, stampInfo(NewTimeStampRequest(stamped)), tsa))
	if err != nil {
		f.Fatal(err)
	}
	rejection, err := BuildTimeStampRejection(TimeStampBadRequest, "no")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(response)
	f.Add(rejection)
	f.Fuzz(func(_ *testing.T, der []byte) {
		r, err := ParseTimeStampResponse(der)
		if err != nil || !r.Granted {
			return
		}
		if ts, err := ParseTimeStamp(r.Token); err == nil {
			_, _, _ = ts.Verify(stamped, day)
		}
	})
}
