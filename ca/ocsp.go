package ca

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"hufu/certs"
	"hufu/internal/fault"
	"hufu/internal/gm"
)

// ocspLife is from thisUpdate to nextUpdate of an answer.
const ocspLife = time.Hour

// Treatment of nonces shorter than 16 octets, which RFC 9654 (2.1) lets a responder ignore.
const (
	ShortNonceAnswer = "answer" // like any other
	ShortNonceIgnore = "ignore" // answer without a nonce
	ShortNonceRefuse = "refuse" // malformedRequest
)

// shortNonce is the length in octets from which on a nonce is no short one.
const shortNonce = 16

// OCSP is how status is told.
type OCSP struct {
	Memory     int    // octets of ready answers kept; optional, 64 MiB
	ShortNonce string // ShortNonceAnswer, …Ignore or …Refuse; optional, answer
	Live       int    // answers that are signed at once while somebody waits; optional, as many as CPUs
}

func (o *OCSP) fill(cpus int) error {
	if o.Memory == 0 {
		o.Memory = 64 << 20
	}
	if o.ShortNonce == "" {
		o.ShortNonce = ShortNonceAnswer
	}
	if o.Live == 0 {
		o.Live = cpus
	}
	if o.Memory < 0 || o.Live < 0 || o.ShortNonce != ShortNonceAnswer && o.ShortNonce != ShortNonceIgnore && o.ShortNonce != ShortNonceRefuse {
		return fmt.Errorf("authority: OCSP with %d octets, %d at once, short nonces %q", o.Memory, o.Live, o.ShortNonce)
	}
	return nil
}

// Refusals of the responder, each an OCSP response without a signature.
var (
	errOCSPBusy = fault.New(fault.Unavailable, "ca.ocsp-busy",
		"Too many ask for the status of certificates at this moment. Ask again in a second, or ask without a nonce.", "当前证书状态查询过多。请稍后重试，或不带随机数查询。")
	errOCSPStranger = fault.New(fault.Denied, "ca.ocsp-issuer",
		"This responder does not answer for the issuer of that certificate.", "本服务不提供该签发机构的证书状态。")
	errOCSPNonce = fault.New(fault.Invalid, "ca.ocsp-nonce",
		"The nonce of the request is too short. Send at least 16 octets.", "请求中的随机数过短。请至少使用 16 字节。")
)

// responder is the part of an authority that tells status.
type responder struct {
	ready   *answers
	live    chan struct{} // holds one for each answer being signed
	waiting atomic.Int64
	changed chan change // serials whose answers are to be made ready

	follower

	mu       sync.Mutex
	services map[string]openService // by issuer
	names    atomic.Pointer[nameIndex]
	expires  atomic.Pointer[expiry]
}

type change struct {
	issuer string
	serial []byte
}

// maxWaiting bounds those who wait for a signature, and patience how long each does.
const (
	maxWaiting = 256
	patience   = 2 * time.Second
)

func newResponder(o OCSP) *responder {
	return &responder{
		ready: newAnswers(o.Memory), live: make(chan struct{}, o.Live), changed: make(chan change, 1024), services: map[string]openService{},
	}
}

// statusChanged makes this node forget what it said of a serial; the caller's transaction is committed. Other nodes follow
// the status events.
func (a *Authority) statusChanged(issuer string, serial []byte) {
	a.serving.Delete(string(serial))
	a.ocsp.ready.drop(issuer, serial)
	select {
	case a.ocsp.changed <- change{issuer, serial}:
	default: // the answer is signed when somebody asks
	}
}

// OCSP answers a request under the responder's delegated certificate. A serial that we never issued is "unknown", never
// "good"; one that is reserved and not yet issued is "unknown" too. All certificates of one request must be of one issuer,
// since the delegate's certificate comes from it.
func (a *Authority) OCSP(ctx context.Context, request *certs.OCSPRequest) ([]byte, error) {
	n, err := a.answerOCSP(ctx, request)
	if err != nil {
		return nil, err
	}
	return n.der, nil
}

// answerOCSP answers from memory what is ready there, and signs else.
func (a *Authority) answerOCSP(ctx context.Context, request *certs.OCSPRequest) (*answer, error) {
	nonce := request.Nonce
	if len(nonce) > 0 && len(nonce) < shortNonce {
		switch a.Config.OCSP.ShortNonce {
		case ShortNonceRefuse:
			return nil, errOCSPNonce.With("nonce of %d octets", len(nonce))
		case ShortNonceIgnore:
			nonce = nil
		}
	}
	issuer := ""
	for _, id := range request.IDs {
		if issuer = a.issuerOf(id); issuer != "" {
			break
		}
	}
	if issuer == "" {
		return nil, errOCSPStranger
	}
	lone := len(request.IDs) == 1 && nonce == nil
	if lone {
		if n := a.readyAnswer(request.IDs[0].Raw); n != nil {
			return n, nil
		}
	}
	if err := a.ocsp.enter(ctx); err != nil {
		return nil, err
	}
	defer a.ocsp.leave()
	if lone { // another may have signed it while this one waited
		if n := a.readyAnswer(request.IDs[0].Raw); n != nil {
			return n, nil
		}
	}
	return a.signAnswer(ctx, issuer, request.IDs, nonce)
}

// readyAnswer returns an answer from memory, nil if there is none that may be sent. While this node does not hear of changes
// made on others, it has none.
func (a *Authority) readyAnswer(id []byte) *answer {
	if !a.ocsp.follows() {
		return nil
	}
	n := a.ocsp.ready.get(id)
	if n == nil || !n.fits(a.Now()) {
		return nil
	}
	if !n.asked.Load() {
		n.asked.Store(true)
	}
	return n
}

// enter takes the right to sign an answer, so that strangers who ask with nonces leave CPU time and device to others.
func (r *responder) enter(ctx context.Context) error {
	select {
	case r.live <- struct{}{}:
		return nil
	default:
	}
	defer r.waiting.Add(-1)
	if r.waiting.Add(1) > maxWaiting {
		return errOCSPBusy
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case r.live <- struct{}{}:
		return nil
	case <-timer.C:
		return errOCSPBusy
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *responder) leave() { <-r.live }

// signAnswer looks up what memory does not tell, signs, and keeps the answer if it is for one certificate without nonce.
func (a *Authority) signAnswer(ctx context.Context, issuer string, ids []certs.CertID, nonce []byte) (*answer, error) {
	mark := a.ocsp.ready.mark()
	now := a.Now().UTC().Truncate(time.Second)
	t := certs.OCSPTemplate{ProducedAt: now, Nonce: nonce}
	var err error
	lone := len(ids) == 1 && nonce == nil
	if t.Answers, err = a.statuses(ctx, issuer, ids, !lone); err != nil {
		return nil, fmt.Errorf("look up status: %w", err)
	}
	for i := range t.Answers {
		t.Answers[i].ThisUpdate, t.Answers[i].NextUpdate = now, now.Add(ocspLife)
	}
	service, err := a.ocspService(ctx, issuer)
	if err != nil {
		return nil, err
	}
	t.Responder = service.Certificate
	der, err := certs.BuildOCSPResponse(t, service.Signer)
	if err != nil {
		a.ocsp.forgetService(issuer)
		return nil, err
	}
	n := newAnswer(issuer, t.Answers[0], der)
	if nonce == nil {
		n.describe()
	}
	if lone && n.is.Status != certs.OCSPUnknown && a.ocsp.follows() {
		a.ocsp.ready.put(n, mark)
	}
	return n, nil
}

func newAnswer(issuer string, is certs.OCSPAnswer, der []byte) *answer {
	n := &answer{id: is.ID, issuer: issuer, is: is, der: der}
	n.id.Raw = append([]byte(nil), is.ID.Raw...) // the request's buffer is used again
	n.id.Serial = append([]byte(nil), is.ID.Serial...)
	n.is.ID = n.id
	n.length = []string{strconv.Itoa(len(der))}
	return n
}

// describe makes what caches are told of an answer that they may keep.
func (n *answer) describe() {
	sum := gm.SM3(n.der)
	n.tag = []string{`"` + hex.EncodeToString(sum[:16]) + `"`}
	n.made = []string{n.is.ThisUpdate.Format(http.TimeFormat)}
}

// statuses tells the state of certificates: from ready answers, where there are some and they may be used, else from the
// database.
func (a *Authority) statuses(ctx context.Context, issuer string, ids []certs.CertID, memory bool) ([]certs.OCSPAnswer, error) {
	all := make([]certs.OCSPAnswer, len(ids))
	var missing []int
	for i, id := range ids {
		all[i] = certs.OCSPAnswer{ID: id, Status: certs.OCSPUnknown}
		if a.issuerOf(id) != issuer {
			continue
		}
		if n := a.readyAnswer(id.Raw); memory && n != nil {
			all[i] = n.is
			continue
		}
		missing = append(missing, i)
	}
	if len(missing) == 0 {
		return all, nil
	}
	return all, a.Store.Look(ctx, func(r R) error {
		for _, i := range missing {
			is, err := status(r, issuer, ids[i])
			if err != nil {
				return err
			}
			all[i] = is
		}
		return nil
	})
}

func status(r R, issuer string, id certs.CertID) (certs.OCSPAnswer, error) {
	answer := certs.OCSPAnswer{ID: id, Status: certs.OCSPUnknown}
	revoked, err := r.Revocation(issuer, id.Serial)
	if err == nil {
		answer.Status, answer.RevokedAt, answer.Reason, answer.InvalidityDate = certs.OCSPRevoked, revoked.At, revoked.Reason, revoked.Invalid
		return answer, nil
	}
	if !errors.Is(err, ErrUnknown) {
		return answer, err
	}
	issued, err := r.Issued(issuer, id.Serial)
	if issued {
		answer.Status = certs.OCSPGood
	}
	return answer, err
}
