package certs

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// bouncyCastle returns the class path of Bouncy Castle (Debian libbcpkix-java), the one peer that knows SM2 with the
// standard identifier in CRLs, OCSP, CMS and time-stamps.
func bouncyCastle(t *testing.T) string {
	t.Helper()
	folder := os.Getenv("HUFU_TEST_BC")
	if folder == "" {
		folder = "/usr/share/java"
	}
	var jars []string
	for _, name := range []string{"bcprov.jar", "bcpkix.jar", "bcutil.jar"} {
		jars = append(jars, filepath.Join(folder, name))
	}
	_, javaErr := exec.LookPath("java")
	_, jarErr := os.Stat(jars[1])
	if javaErr != nil || jarErr != nil {
		if os.Getenv("CI") == "" {
			t.Skip("java or Bouncy Castle (libbcpkix-java) is not installed")
		}
		t.Fatalf("java or Bouncy Castle (libbcpkix-java) is not installed: %v, %v", javaErr, jarErr)
	}
	return strings.Join(jars, string(os.PathListSeparator))
}

func TestByBouncyCastle(t *testing.T) {
	classes := bouncyCastle(t)
	dir := t.TempDir()
	ca := newCA(t, "Peer Root", true)
	signer := issue(t, ca, "Peer", true, criticalEKU(t))
	writeFile(t, dir, "ca.der", ca.Raw)
	writeFile(t, dir, "signer.der", signer.Raw)
	writeFile(t, dir, "content", cmsContent)

	entries := append(entriesOf(3), CRLEntry{Serial: []byte{5}, RevokedAt: day})
	crl := writeCRL(t, crlTemplate(ca, entries), ca)
	writeFile(t, dir, "a.crl", crl)
	edited := bytes.Clone(crl)
	edited[bytes.Index(edited, entries[0].Serial)+4] ^= 1
	writeFile(t, dir, "edited.crl", edited)

	id := mustID(t, OIDSM3, ca, []byte{1})
	request, err := BuildOCSPRequest([]CertID{id}, NewNonce())
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "request.der", request)
	writeFile(t, dir, "ocsp.der", respond(t, OCSPTemplate{Answers: []OCSPAnswer{good(id)}}, ca))

	query := NewTimeStampRequest(stamped)
	der, err := query.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "q.tsq", der)
	if der, err = BuildTimeStampResponse(stamp(t, stampInfo(query), signer)); err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "r.tsr", der)
	for _, name := range []string{"attached", "attributes", "detached"} {
		writeFile(t, dir, name+".p7", signData(t, cmsForms[name], signer))
	}
	out, err := exec.Command("java", "-cp", classes, "testdata/Peer.java", dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for _, name := range []string{"crl", "crl-edited", "ocsp", "ocsp-request", "tsp", "cms", "cms-attributes", "cms-detached"} {
		if !slices.Contains(lines, name+" ok") {
			t.Errorf("Bouncy Castle does not accept %s:\n%s", name, out)
		}
	}
}
