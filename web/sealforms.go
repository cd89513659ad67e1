package web

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/seal"
	"hufu/seal/ofd"
)

// maxPIN is how many octets of a field for a PIN are taken.
const maxPIN = 256

// pinOf takes a PIN out of a form, so that nothing shows it again.
func pinOf(form url.Values, name string) []byte {
	pin := form.Get(name)
	form.Del(name)
	if len(pin) > maxPIN {
		pin = pin[:maxPIN]
	}
	return []byte(pin)
}

// sealPage is a form of the seal's page that was sent: who sent it, and the page to show again if it is refused.
type sealPage struct {
	*sealView
	by actor.Actor
}

func (s *Site) sealPage(w http.ResponseWriter, r *http.Request) (sealPage, bool) {
	by, found, ok := s.sealActor(w, r)
	if !ok {
		return sealPage{}, false
	}
	v, err := s.sealView(r, by, found)
	if err != nil {
		s.fail(w, r, err)
		return sealPage{}, false
	}
	return sealPage{v, by}, true
}

// done goes back to the page and says what was done.
func (p sealPage) done(w http.ResponseWriter, note string) {
	seeOther(w, "/seals/"+url.PathEscape(p.Seal.Code)+"?note="+note)
}

// newPIN reads a new PIN that was typed twice.
func (p sealPage) newPIN(form url.Values, name string) ([]byte, bool) {
	pin, again := pinOf(form, name), pinOf(form, name+"-again")
	switch {
	case len(pin) == 0:
		p.blame(http.StatusUnprocessableEntity, name, p.T("请设置印章口令。", "Choose a PIN."))
	case !bytes.Equal(pin, again):
		p.blame(http.StatusUnprocessableEntity, name+"-again", p.T("两次输入的口令不一致，请重新输入。", "The two PINs differ. Enter them again."))
	default:
		return pin, true
	}
	return nil, false
}

// doMakeSeal makes an approved seal under the owner's PIN. A seal whose making stopped goes on with the PIN of the first time.
func (s *Site) doMakeSeal(w http.ResponseWriter, r *http.Request) {
	p, ok := s.sealPage(w, r)
	if !ok {
		return
	}
	pin, ok := p.newPIN(r.PostForm, "make-pin")
	if !ok {
		s.show(w, r, "seal", p.sealView)
		return
	}
	defer clear(pin)
	if _, err := s.Seals.Make(r.Context(), p.by, p.Seal.Code, seal.Making{Owner: seal.Enrolment{PIN: pin}}); err != nil {
		s.refuseSealForm(w, r, p.sealView, "make-pin", err)
		return
	}
	p.done(w, "seal-made")
}

// doSealPIN changes the PIN, or sets the first one of a seal that has none.
func (s *Site) doSealPIN(w http.ResponseWriter, r *http.Request) {
	p, ok := s.sealPage(w, r)
	if !ok {
		return
	}
	old := pinOf(r.PostForm, "old-pin")
	defer clear(old)
	if len(old) == 0 && p.Held.Method != "" {
		p.blame(http.StatusUnprocessableEntity, "old-pin", p.T("请输入当前口令。", "Enter the current PIN."))
	}
	pin, ok := p.newPIN(r.PostForm, "new-pin")
	if !ok || len(p.Faults) > 0 {
		s.show(w, r, "seal", p.sealView)
		return
	}
	defer clear(pin)
	if err := s.Seals.SetPIN(r.Context(), p.by, p.Seal.Code, old, pin); err != nil {
		field := "old-pin"
		if fault.KindOf(err) == fault.Invalid {
			field = "new-pin"
		}
		s.refuseSealForm(w, r, p.sealView, field, err)
		return
	}
	p.done(w, "seal-pin")
}

// doActivate makes a standing activation.
func (s *Site) doActivate(w http.ResponseWriter, r *http.Request) {
	p, ok := s.sealPage(w, r)
	if !ok {
		return
	}
	pin := pinOf(r.PostForm, "activate-pin")
	defer clear(pin)
	kinds := r.PostForm["kind"]
	p.Form.Count, p.Form.Days = r.PostForm.Get("count"), r.PostForm.Get("days")
	for i := range p.Kinds {
		for _, kind := range kinds {
			p.Kinds[i].Checked = p.Kinds[i].Checked || p.Kinds[i].Value == kind
		}
	}
	count, err1 := strconv.Atoi(p.Form.Count)
	days, err2 := strconv.Atoi(p.Form.Days)
	switch {
	case len(kinds) == 0:
		p.blame(http.StatusUnprocessableEntity, "kinds", p.T("请至少选择一类文件。", "Choose at least one kind of documents."))
	case err1 != nil:
		p.blame(http.StatusUnprocessableEntity, "count", p.T("请填写次数。", "Say how many uses."))
	case err2 != nil || days < 1 || days > maxDays:
		p.blame(http.StatusUnprocessableEntity, "days", p.T("请填写 1 至 92 天。", "Say how many days, 1 to 92."))
	case len(pin) == 0:
		p.blame(http.StatusUnprocessableEntity, "activate-pin", p.T("请输入印章口令。", "Enter the seal's PIN."))
	}
	if len(p.Faults) > 0 {
		s.show(w, r, "seal", p.sealView)
		return
	}
	bounds := seal.Bounds{Kinds: kinds, Count: count, Until: s.Now().Add(time.Duration(days) * 24 * time.Hour)}
	if _, err := s.Seals.Activate(r.Context(), p.by, p.Seal.Code, seal.Consent{PIN: pin}, bounds); err != nil {
		s.refuseSealForm(w, r, p.sealView, "activate-pin", err)
		return
	}
	p.done(w, "seal-activated")
}

// maxDays is how long an activation may stand.
const maxDays = 92

func (s *Site) doWithdrawActivation(w http.ResponseWriter, r *http.Request) {
	p, ok := s.sealPage(w, r)
	if !ok {
		return
	}
	err := s.Seals.Withdraw(r.Context(), p.by, p.Seal.Code, r.PostForm.Get("id"))
	if err != nil && !errors.Is(err, seal.ErrNoActivation) { // it has ended: that is what was wanted
		s.refuseSealForm(w, r, p.sealView, "", err)
		return
	}
	p.done(w, "seal-withdrawn")
}

// doStamp stamps a document that is handed in and hands it back. It is not kept.
func (s *Site) doStamp(w http.ResponseWriter, r *http.Request) {
	leave, free := s.uploads.enter(s.RemoteIP(r))
	if !free {
		w.Header().Set("Retry-After", "10")
		s.fail(w, r, errUploadBusy)
		return
	}
	defer leave()
	name, file, form, err := readStamp(w, r)
	if err != nil {
		if !errors.Is(err, errUploadLarge) {
			err = errForm.With("%w", err)
		}
		s.fail(w, r, err)
		return
	}
	p, ok := s.sealPage(w, r)
	if !ok {
		return
	}
	pin := pinOf(form, "stamp-pin")
	defer clear(pin)
	p.Form.Purpose, p.Form.Page, p.Form.X, p.Form.Y = strings.TrimSpace(form.Get("purpose")), form.Get("page"), form.Get("x"), form.Get("y")
	place, ok := p.place()
	switch {
	case len(file) == 0:
		p.blame(http.StatusUnprocessableEntity, "file", p.T("请选择要盖章的 OFD 文件。", "Choose the OFD file to stamp."))
	case p.Form.Purpose == "":
		p.blame(http.StatusUnprocessableEntity, "purpose", p.T("请填写用印事由。", "Say what the stamp is for."))
	case !ok:
		p.blame(http.StatusUnprocessableEntity, "page", p.T("请用数字填写页码和位置。", "Give page and place in numbers."))
	case p.NeedsPIN && len(pin) == 0:
		p.blame(http.StatusUnprocessableEntity, "stamp-pin", p.T("请输入印章口令。", "Enter the seal's PIN."))
	}
	if len(p.Faults) > 0 {
		s.show(w, r, "seal", p.sealView)
		return
	}
	out, err := s.Seals.Stamp(r.Context(), p.by, seal.Order{
		Seal: p.Seal.Code, Document: file, Purpose: p.Form.Purpose, Kind: seal.KindDocument, Consent: seal.Consent{PIN: pin}, Stamps: []ofd.Stamp{place},
	})
	if err != nil {
		p.NeedsPIN = true // the activation that covered it may just have ended
		s.refuseSealForm(w, r, p.sealView, "stamp-pin", err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/ofd")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": "stamped-" + name}))
	_, _ = w.Write(out.Document)
}

// place is where the stamp goes, in millimetres.
func (p sealPage) place() (ofd.Stamp, bool) {
	page, err := strconv.Atoi(p.Form.Page)
	numbers := make([]float64, 0, 4)
	for _, text := range []string{p.Form.X, p.Form.Y, p.Form.Width, p.Form.Height} {
		n, bad := strconv.ParseFloat(text, 64)
		err = errors.Join(err, bad)
		numbers = append(numbers, n)
	}
	return ofd.Stamp{Page: page, Boundary: ofd.Box{X: numbers[0], Y: numbers[1], W: numbers[2], H: numbers[3]}}, err == nil
}

// readStamp reads the parts into memory; no temporary file is written.
func readStamp(w http.ResponseWriter, r *http.Request) (name string, file []byte, form url.Values, err error) {
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(uploadTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return "", nil, nil, err
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxUpload+maxForm)
	parts, err := r.MultipartReader()
	if err != nil {
		return "", nil, nil, err
	}
	form = url.Values{}
	for range 20 {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return name, file, form, nil
		}
		if err != nil {
			return "", nil, nil, large(err)
		}
		if part.FormName() == "file" {
			name = fileName(part.FileName())
			file, err = readPart(part, maxUpload)
		} else {
			var text []byte
			text, err = readPart(part, 2048)
			form.Set(part.FormName(), string(text))
		}
		if err != nil {
			return "", nil, nil, err
		}
	}
	return "", nil, nil, errForm.With("more parts than the form has")
}
