package web_test

import (
	"bytes"
	"context"
	"fmt"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"hufu/internal/actor"
	"hufu/internal/fault"
	"hufu/seal"
	"hufu/web"
)

const (
	sealCode = "33010000000001"
	sealPIN  = "dragon-7-boat-9"
)

var errPIN = fault.New(fault.Denied, "keys.pin", "The PIN is wrong.", "PIN 不正确。")

// keeper is the seals as the pages see them. It notes what it was asked to do.
type keeper struct {
	evil  bool
	owner string
	state seal.State
	held  seal.Held
	live  []seal.Activation
	done  []string
	err   error
}

func (k *keeper) seal() seal.Seal {
	s := seal.Seal{Code: sealCode, Owner: k.owner, OwnerName: "杭州示例科技有限公司", Name: "杭州示例科技有限公司", Style: "company", State: k.state, KeyID: "k"}
	if k.state == seal.Approved {
		s.KeyID = ""
	}
	if k.evil {
		s.Code, s.Owner, s.Name, s.Line, s.OwnerName, s.Reason, s.State, s.SVG = evil, evil, evil, evil, evil, evil, evil, []byte(evil)
	}
	return s
}

func (k *keeper) may(by actor.Actor) error {
	if !k.evil && (by.For == "" || by.For != k.owner) {
		return seal.ErrUnknown
	}
	return nil
}

func (k *keeper) List(_ context.Context, by actor.Actor, _ seal.Filter) ([]seal.Seal, error) {
	if k.may(by) != nil {
		return nil, nil
	}
	return []seal.Seal{k.seal()}, nil
}

func (k *keeper) Get(_ context.Context, by actor.Actor, code string) (seal.Seal, error) {
	if code != sealCode {
		return seal.Seal{}, seal.ErrUnknown
	}
	return k.seal(), k.may(by)
}

func (k *keeper) Held(context.Context, actor.Actor, string) (seal.Held, error) { return k.held, nil }

func (k *keeper) act(pin []byte, what string, args ...any) error {
	if k.err != nil {
		return k.err
	}
	if len(pin) > 0 && string(pin) != sealPIN {
		return errPIN
	}
	k.done = append(k.done, fmt.Sprintf(what, args...))
	return nil
}

func (k *keeper) Make(_ context.Context, by actor.Actor, _ string, m seal.Making) (seal.Seal, error) {
	return k.seal(), k.act(nil, "make %s as %s", m.Owner.PIN, by.Capacity)
}

func (k *keeper) SetPIN(_ context.Context, _ actor.Actor, _ string, old, fresh []byte) error {
	return k.act(old, "pin %s to %s", old, fresh)
}

func (k *keeper) Stamp(_ context.Context, _ actor.Actor, o seal.Order) (seal.Stamped, error) {
	b := o.Stamps[0].Boundary
	return seal.Stamped{Document: append([]byte("stamped "), o.Document...)}, k.act(o.Consent.PIN, "stamp %s %q on %d at %v,%v size %v for %s", o.Kind, o.Consent.PIN, o.Stamps[0].Page, b.X, b.Y, b.W, o.Purpose)
}

func (k *keeper) Activations(context.Context, actor.Actor, string) ([]seal.Activation, error) {
	if k.evil {
		a := activation(evil, time.Now().Add(time.Hour))
		a.ID = evil
		return []seal.Activation{a}, nil
	}
	return k.live, nil
}

func (k *keeper) Activate(_ context.Context, _ actor.Actor, _ string, c seal.Consent, b seal.Bounds) (seal.Activation, error) {
	return seal.Activation{}, k.act(c.PIN, "activate %d of %s until %s", b.Count, strings.Join(b.Kinds, " "), b.Until.Format(time.DateOnly))
}

func (k *keeper) Withdraw(_ context.Context, _ actor.Actor, _, id string) error {
	return k.act(nil, "withdraw %s", id)
}

func activation(kind string, until time.Time) seal.Activation {
	return seal.Activation{Standing: seal.Standing{ID: "a1", Kinds: []string{kind}, Count: 10, Used: 3, Until: until, State: seal.ActivationActive}}
}

// sealed is a world with the company's seal.
func sealed(t *testing.T, f func(w *world, k *keeper, b *browser)) {
	keepers := make(chan *keeper, 4) // of each engine, in turn
	each(t, func(c *web.Config) {
		k := &keeper{state: seal.Active, held: seal.Held{Method: "pin"}}
		c.Seals, c.Kinds = k, []web.Kind{
			{Kind: seal.KindDocument, Name: fault.Text{ZH: "一般文件", EN: "Documents"}},
			{Kind: "licence/x", Name: fault.Text{ZH: "营业执照", EN: "Business licence"}},
		}
		keepers <- k
	}, func(w *world) {
		k := <-keepers
		k.owner = w.company
		b := w.browser()
		b.login()
		f(w, k, b)
	})
}

func (b *browser) stamp(pairs ...string) page {
	b.w.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	part, err := m.CreateFormFile("file", "合同.ofd")
	b.w.must(err)
	_, err = part.Write([]byte("ofd"))
	b.w.must(err)
	for i := 0; i < len(pairs); i += 2 {
		b.w.must(m.WriteField(pairs[i], pairs[i+1]))
	}
	b.w.must(m.Close())
	return b.do("POST", "/seals/"+sealCode+"/stamp", m.FormDataContentType(), &body)
}

func TestThePageOfASeal(t *testing.T) {
	sealed(t, func(w *world, k *keeper, b *browser) {
		w.goes(w.browser().get("/seals"), "/login?next=%2Fseals")
		w.shows(b.get("/account"), http.StatusOK, "单位印章")
		w.shows(b.get("/seals"), http.StatusOK, "杭州示例科技有限公司", "启用中", "独占控制", "示例市市场监督管理局", "还没有印章")
		path := "/seals/" + sealCode
		w.shows(b.get(path), http.StatusOK, "未使用密码机", "所有者的口令", "目前没有常设激活", "盖章并下载")
		w.shows(b.get(path+"?lang=en"), http.StatusOK, "no hardware", "The owner's PIN", "None stands now")
		if p := b.get(path); !strings.Contains(p.body, `name="stamp-pin" type="password" autocomplete="off"`) {
			w.Error("no PIN is asked for")
		}
		k.live = []seal.Activation{activation(seal.KindDocument, w.now().Add(time.Hour)), activation("licence/x", w.now().Add(-time.Hour))}
		p := b.get(path + "?lang=zh")
		w.shows(p, http.StatusOK, "剩余 7 次，共 10 次", "一般文件", "撤回", "已有常设激活覆盖此类文件", "已终止的常设激活")
		if strings.Contains(p.body, `name="stamp-pin"`) {
			w.Error("a PIN is asked for where an activation covers it")
		}
		k.held = seal.Held{Method: "pin", Inside: true, Locked: true, Until: w.now().Add(time.Minute)}
		w.shows(b.get(path), http.StatusOK, "密码机内生成和使用", "锁定至")
		w.shows(b.get(path+"?lang=en"), http.StatusOK, "HSM-backed", "locked until")
		w.shows(b.get("/seals/33010000000009?lang=zh"), http.StatusNotFound, "没有这枚印章")
		k.owner = "somebody else"
		w.shows(b.get(path), http.StatusNotFound, "没有这枚印章")
		w.shows(b.post(path+"/activations/end", "id", "a1"), http.StatusNotFound)
	})
}

func TestTheFormsOfASeal(t *testing.T) {
	sealed(t, func(w *world, k *keeper, b *browser) {
		path := "/seals/" + sealCode
		k.state = seal.Approved
		w.shows(b.get(path), http.StatusOK, "设置口令并制章", "无法找回")
		w.shows(b.post(path+"/make", "make-pin", sealPIN, "make-pin-again", "other"), http.StatusUnprocessableEntity, "不一致")
		w.shows(b.post(path+"/make"), http.StatusUnprocessableEntity, "请设置印章口令")
		w.goes(b.post(path+"/make", "make-pin", sealPIN, "make-pin-again", sealPIN), path+"?note=seal-made")
		k.state = seal.Active
		w.shows(b.get(path+"?note=seal-made"), http.StatusOK, "只有持口令的所有者能够启用它")

		w.shows(b.post(path+"/activations", "count", "5", "days", "7", "activate-pin", sealPIN), http.StatusUnprocessableEntity, "请至少选择一类文件")
		w.shows(b.post(path+"/activations", "kind", "document", "count", "5", "days", "93", "activate-pin", sealPIN), http.StatusUnprocessableEntity, "1 至 92")
		w.shows(b.post(path+"/activations", "kind", "document", "count", "5", "days", "7"), http.StatusUnprocessableEntity, "请输入印章口令")
		p := b.post(path+"/activations", "kind", "document", "count", "5", "days", "7", "activate-pin", "guess-no-4711")
		w.shows(p, http.StatusUnprocessableEntity, "PIN 不正确")
		if strings.Contains(p.body, "guess-no-4711") || !strings.Contains(p.body, `value="document" checked`) {
			w.Error("the form shows the PIN again, or forgets what was chosen")
		}
		w.goes(b.post(path+"/activations", "kind", "document", "kind", "licence/x", "count", "5", "days", "7", "activate-pin", sealPIN), path+"?note=seal-activated")
		w.goes(b.post(path+"/activations/end", "id", "a1"), path+"?note=seal-withdrawn")

		w.shows(b.post(path+"/pin", "new-pin", "tiger-tally-21", "new-pin-again", "tiger-tally-21"), http.StatusUnprocessableEntity, "请输入当前口令")
		w.goes(b.post(path+"/pin", "old-pin", sealPIN, "new-pin", "tiger-tally-21", "new-pin-again", "tiger-tally-21"), path+"?note=seal-pin")
		k.held = seal.Held{}
		w.shows(b.get(path), http.StatusOK, "尚未由所有者接管", "请先由所有者设置口令")
		w.goes(b.post(path+"/pin", "new-pin", sealPIN, "new-pin-again", sealPIN), path+"?note=seal-pin")

		k.held.Method = "pin"
		w.shows(b.stamp("purpose", "合同", "page", "1", "x", "10", "y", "20"), http.StatusUnprocessableEntity, "请输入印章口令")
		w.shows(b.stamp("purpose", "合同", "page", "one", "x", "10", "y", "20", "stamp-pin", sealPIN), http.StatusUnprocessableEntity, "请用数字填写")
		p = b.stamp("purpose", "合同", "page", "2", "x", "10", "y", "20.5", "stamp-pin", "guess-no-4711")
		w.shows(p, http.StatusUnprocessableEntity, "PIN 不正确")
		if strings.Contains(p.body, "guess-no-4711") || !strings.Contains(p.body, `value="20.5"`) {
			w.Error("the form shows the PIN again, or forgets what was typed")
		}
		p = b.stamp("purpose", "合同", "page", "2", "x", "10", "y", "20.5", "stamp-pin", sealPIN)
		if p.status != http.StatusOK || p.body != "stamped ofd" || !strings.Contains(p.header.Get("Content-Disposition"), "attachment") {
			w.Errorf("%d %v %.60q", p.status, p.header, p.body)
		}
		k.err = fault.New(fault.Limited, "keys.locked", "Locked.", "已锁定。")
		w.shows(b.stamp("purpose", "合同", "page", "2", "x", "10", "y", "20", "stamp-pin", sealPIN), http.StatusTooManyRequests, "已锁定")
		k.err = errBroken
		p = b.post(path+"/activations/end", "id", "a1")
		w.shows(p, http.StatusInternalServerError)
		if strings.Contains(p.body, "hunter2") || strings.Contains(w.log.String(), "guess-no-4711") || strings.Contains(w.log.String(), sealPIN) {
			w.Error("a page or the log tells too much")
		}
		want := []string{
			"make " + sealPIN + " as entity", "activate 5 of document licence/x until 2026-03-08", "withdraw a1", "pin " + sealPIN + " to tiger-tally-21",
			"pin  to " + sealPIN, `stamp document "` + sealPIN + `" on 2 at 10,20.5 size 42 for 合同`,
		}
		if !slices.Equal(k.done, want) {
			w.Errorf("done %q", k.done)
		}
	})
}
