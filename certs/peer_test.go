package certs

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"hufu/certs/certstest"
)

func TestByBouncyCastle(t *testing.T) {
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
	out := certstest.BouncyCastle(t, "Peer.java", dir)
	t.Log(out)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for _, name := range []string{"crl", "crl-edited", "ocsp", "ocsp-request", "tsp", "cms", "cms-attributes", "cms-detached"} {
		if !slices.Contains(lines, name+" ok") {
			t.Errorf("Bouncy Castle does not accept %s:\n%s", name, out)
		}
	}
}
