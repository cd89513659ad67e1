package certs

import (
	"crypto"
	"errors"
	"strings"
	"testing"

	"github.com/emmansun/gmsm/smx509"

	"hufu/internal/gm"
)

const (
	sigID = "distid:1234567812345678"
	// opensslNow is the day of these tests as openssl wants it, so that they do not depend on the clock.
	opensslNow = "1795161600"
)

// pemKey writes a key for openssl.
func pemKey(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	var der []byte
	var err error
	if sm2Key, ok := key.(*gm.PrivateKey); ok {
		der, err = gm.MarshalPKCS8(sm2Key)
	} else {
		der, err = smx509.MarshalPKCS8PrivateKey(key)
	}
	if err != nil {
		t.Fatal(err)
	}
	return EncodePEM("PRIVATE KEY", der)
}

func TestOpenSSLVerifiesOurChain(t *testing.T) {
	dir := t.TempDir()
	root := under(t, holder{}, person("Root"), newSM2(t), asCA(-1))
	issuing := under(t, root, person("Issuing"), newSM2(t), asCA(0))
	leaf := under(t, issuing, person("Leaf"), newSM2(t), func(x *Template) {
		f := full(testKey(t))
		x.AltNames, x.Policies, x.Identity, x.CRLPoints, x.OCSPServers, x.ExtKeyUsage = f.AltNames, f.Policies, f.Identity, f.CRLPoints, f.OCSPServers, f.ExtKeyUsage
	})
	writeFile(t, dir, "root.pem", root.PEM())
	writeFile(t, dir, "issuing.pem", issuing.PEM())
	writeFile(t, dir, "leaf.pem", leaf.PEM())
	// The option reaches the certificate named on the command line only, so that the chain is checked link by link.
	for name, ca := range map[string]string{"issuing.pem": "root.pem", "leaf.pem": "issuing.pem"} {
		verify := []string{"verify", "-attime", opensslNow, "-partial_chain", "-CAfile", ca}
		if out := openssl(t, dir, append(verify, "-vfyopt", sigID, name)...); !strings.Contains(out, name+": OK") {
			t.Errorf("openssl refuses %s: %s", name, out)
		}
		// Were it to accept without the id, ours would be signed under the empty one.
		if out := openssl(t, dir, append(verify, name)...); strings.Contains(out, name+": OK") {
			t.Errorf("openssl accepts %s under the empty id: %s", name, out)
		}
	}
	text := openssl(t, dir, "x509", "-in", "leaf.pem", "-noout", "-text")
	for _, want := range []string{"SM2-with-SM3", "ASN1 OID: SM2", "DNS:*.example.cn", "IP Address:192.0.2.1", "Digital Signature, Non Repudiation", "URI:http://pki.example.cn/pki/crl/1/3.crl", "Policy: 1.2.156.999.1", "Authority Key Identifier"} {
		if !strings.Contains(text, want) {
			t.Errorf("openssl does not show %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "Basic Constraints") {
		t.Error("end-entity certificate with basic constraints")
	}
}

// TestOpenSSLStrict: on P-256 openssl can check the whole chain, and by its strict rules.
func TestOpenSSLStrict(t *testing.T) {
	dir := t.TempDir()
	root := under(t, holder{}, person("Root"), newKey(t, false), asCA(-1))
	issuing := under(t, root, person("Issuing"), newKey(t, false), asCA(0), func(x *Template) { x.NameConstraints = sampleConstraints() })
	leaf := under(t, issuing, person("Leaf"), newKey(t, false), func(x *Template) {
		x.AltNames.DNS, x.ExtKeyUsage = []string{"a.example.cn"}, []OID{OIDServerAuth}
	})
	bad := under(t, issuing, person("Leaf"), newKey(t, false), func(x *Template) { x.AltNames.DNS = []string{"a.bad.example.cn"} })
	for name, h := range map[string]holder{"root.pem": root, "issuing.pem": issuing, "leaf.pem": leaf, "bad.pem": bad} {
		writeFile(t, dir, name, h.PEM())
	}
	verify := []string{"verify", "-attime", opensslNow, "-x509_strict", "-check_ss_sig", "-CAfile", "root.pem", "-untrusted", "issuing.pem"}
	if out := openssl(t, dir, append(verify, "-purpose", "sslserver", "leaf.pem")...); !strings.Contains(out, "leaf.pem: OK") {
		t.Errorf("openssl refuses: %s", out)
	}
	if out := openssl(t, dir, append(verify, "bad.pem")...); !strings.Contains(out, "excluded subtree violation") {
		t.Errorf("openssl does not see our name constraints: %s", out)
	}
}

func TestOpenSSLVerifiesOurRequests(t *testing.T) {
	dir := t.TempDir()
	for name, key := range map[string]crypto.Signer{"sm2": newSM2(t), "p256": newKey(t, false), "rsa": newRSA(t, 2048)} {
		der, err := NewRequest(key, person("Zhang"), RequestOptions{AltNames: GeneralNames{DNS: []string{"a.example.cn"}}, Challenge: "x"})
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, dir, name+".csr", EncodePEM("CERTIFICATE REQUEST", der))
		out := openssl(t, dir, "req", "-in", name+".csr", "-verify", "-vfyopt", sigID, "-noout", "-text")
		if name != "sm2" {
			out = openssl(t, dir, "req", "-in", name+".csr", "-verify", "-noout", "-text")
		}
		if !strings.Contains(out, "verify OK") || !strings.Contains(out, "DNS:a.example.cn") {
			t.Errorf("%s: %s", name, out)
		}
	}
}

func TestRequestsOfOpenSSL(t *testing.T) {
	dir := t.TempDir()
	newReq := func(key string, extra ...string) []byte {
		out := openssl(t, dir, append([]string{
			"req", "-new", "-utf8", "-key", key, "-out", "r.csr", "-outform", "DER", "-subj", "/C=CN/O=虎符/CN=张三/emailAddress=z@example.cn",
			"-addext", "subjectAltName=DNS:a.example.cn,email:z@example.cn", "-addext", "keyUsage=critical,digitalSignature",
		}, extra...)...)
		if strings.Contains(out, "rror") {
			t.Fatalf("openssl req: %s", out)
		}
		return readFile(t, dir, "r.csr")
	}
	openssl(t, dir, "genpkey", "-algorithm", "SM2", "-out", "sm2.key")
	openssl(t, dir, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "p256.key")
	openssl(t, dir, "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "rsa.key")
	for key, extra := range map[string][]string{"sm2.key": {"-sm3", "-sigopt", sigID}, "p256.key": {"-sha256"}, "rsa.key": {"-sha256"}} {
		req, err := ParseRequest(newReq(key, extra...))
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		if req.Subject.CommonName() != "张三" || req.Subject.Get(OIDEmailAddress) != "z@example.cn" || req.Requested.AltNames.DNS[0] != "a.example.cn" ||
			req.Requested.KeyUsage != UsageDigitalSignature || len(req.NonStandard) != 0 {
			t.Errorf("%s: %+v", key, req)
		}
	}
	if _, err := ParseRequest(newReq("sm2.key", "-sm3")); !errors.Is(err, ErrWrongID) {
		t.Errorf("openssl's default id: got %v, want %v", err, ErrWrongID)
	}
	if _, err := ParseRequest(newReq("sm2.key", "-sm3", "-sigopt", "distid:somebody else")); !errors.Is(err, ErrSignature) || errors.Is(err, ErrWrongID) {
		t.Errorf("another id: got %v", err)
	}
}

// TestChainOfOpenSSL: openssl makes root, CA and leaf; we validate.
func TestChainOfOpenSSL(t *testing.T) {
	dir := t.TempDir()
	for _, kind := range []struct {
		name   string
		genkey []string
		sign   []string
	}{
		{"sm2", []string{"-algorithm", "SM2"}, []string{"-sm3", "-sigopt", sigID}},
		{"p256", []string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"}, []string{"-sha256"}},
		{"rsa", []string{"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"}, []string{"-sha384"}},
	} {
		ca := opensslChain(t, dir, kind.genkey, kind.sign)
		for _, c := range ca {
			if len(c.NonStandard) != 0 {
				t.Errorf("%s: %q", kind.name, c.NonStandard)
			}
		}
		at := ca[2].NotBefore
		v := Validate(ca[2], Options{Roots: ca[:1], Intermediates: ca[1:2], At: at, Purpose: PurposeServer})
		if v.Outcome != Passed || len(v.Path) != 3 {
			t.Errorf("%s: %+v", kind.name, v.Steps)
		}
	}
	ca := opensslChain(t, dir, []string{"-algorithm", "SM2"}, []string{"-sm3"})
	v := Validate(ca[2], Options{Roots: ca[:1], Intermediates: ca[1:2], At: ca[2].NotBefore})
	if got := v.Step(StepSignature); got.Outcome != Failed || got.Code != "signature.wrong-id" {
		t.Errorf("chain under openssl's default id: %+v", v.Steps)
	}
}

func opensslChain(t *testing.T, dir string, genkey, sign []string) []*Certificate {
	t.Helper()
	for _, name := range []string{"root", "ca", "leaf"} {
		openssl(t, dir, append([]string{"genpkey", "-out", name + ".key"}, genkey...)...)
		openssl(t, dir, append([]string{"req", "-new", "-key", name + ".key", "-subj", "/C=CN/CN=" + name, "-out", name + ".csr"}, sign...)...)
	}
	writeFile(t, dir, "ca.ext", []byte("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"))
	writeFile(t, dir, "leaf.ext", []byte("keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:a.cn\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"))
	vfy := []string{}
	if len(sign) == 3 {
		vfy = []string{"-vfyopt", sigID}
	}
	x509 := func(args ...string) {
		args = append(append(append([]string{"x509", "-req", "-days", "30"}, args...), sign...), vfy...)
		if out := openssl(t, dir, args...); strings.Contains(out, "rror") {
			t.Fatalf("openssl %v: %s", args, out)
		}
	}
	x509("-in", "root.csr", "-signkey", "root.key", "-extfile", "ca.ext", "-out", "root.pem")
	x509("-in", "ca.csr", "-CA", "root.pem", "-CAkey", "root.key", "-CAcreateserial", "-extfile", "ca.ext", "-out", "ca.pem")
	x509("-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "leaf.ext", "-out", "leaf.pem")
	var out []*Certificate
	for _, name := range []string{"root", "ca", "leaf"} {
		c, err := ParsePEM(readFile(t, dir, name+".pem"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out = append(out, c)
	}
	return out
}
