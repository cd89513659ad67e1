package web_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"hufu/internal/fault"
	"hufu/seal/check"
	"hufu/web"
)

// tale is a story whose state the test sets; it notes what it was asked to do.
type tale struct {
	id    string
	state web.StoryState
	done  []string
	err   error
}

var errNoTale = fault.New(fault.NotFound, "test.no-story", "No such story.", "没有该演示。")

func (t *tale) Start(context.Context) (string, error) {
	t.id = "story-1"
	t.done = append(t.done, "start")
	return t.id, t.err
}

func (t *tale) State(_ context.Context, id, _ string) (web.StoryState, error) {
	if id != t.id {
		return web.StoryState{}, errNoTale
	}
	return t.state, nil
}

func (t *tale) do(id, what string) error {
	if id != t.id {
		return errNoTale
	}
	t.done = append(t.done, what)
	return t.err
}

func (t *tale) Issue(_ context.Context, id string, pin []byte) error {
	return t.do(id, strings.TrimSpace("issue "+string(pin)))
}
func (t *tale) Verify(_ context.Context, id string) error { return t.do(id, "verify") }
func (t *tale) Prove(_ context.Context, id string) error  { return t.do(id, "prove") }
func (t *tale) Forge(_ context.Context, id, field, value string) error {
	return t.do(id, "forge "+field+"="+value)
}

func (t *tale) File(_ context.Context, id, name string) (web.StoryFile, error) {
	switch {
	case id != t.id:
		return web.StoryFile{}, errNoTale
	case name == "licence.svg" || name == "forged.svg":
		value := "杭州示例科技有限公司"
		capital := "壹佰万元整"
		if name == "forged.svg" {
			capital = "壹亿元整"
		}
		return web.StoryFile{ContentType: "image/svg+xml", Data: []byte(sheet(value, capital))}, nil
	case name == "licence.ofd":
		return web.StoryFile{ContentType: "application/ofd", Data: []byte("PK")}, nil
	}
	return web.StoryFile{}, errNoTale
}

// sheet is a licence as the preview of a story shows it.
func sheet(name, capital string) string {
	return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 420 297"><rect width="420" height="297" fill="#fffdf5"/>` +
		`<rect x="14" y="14" width="392" height="269" fill="none" stroke="#b08d3c" stroke-width="3"/>` +
		`<text x="210" y="70" font-size="30" text-anchor="middle" font-weight="bold">营业执照</text>` +
		`<g font-size="12"><text x="50" y="120">名称　　　　` + name + `</text><text x="50" y="145">法定代表人　张三</text>` +
		`<text x="50" y="170">注册资本　　` + capital + `</text></g>` +
		`<g fill="none" stroke="#e60012" stroke-width="3"><circle cx="330" cy="215" r="42"/></g>` +
		`<path fill="#e60012" d="m330 200 4.500 10 11 1-8.500 7.500 2.500 11-9.500-6-9.500 6 2.500-11-8.500-7.500 11-1z"/></svg>`
}

// finished is a story whose every step is done.
func finished() web.StoryState {
	st := web.StoryState{
		Citizen: &web.StoryCitizen{Name: "张三", Level: 2},
		Acting:  &web.StoryActing{Name: "杭州示例科技有限公司", USCC: uscc},
		Licence: &web.StoryLicence{
			ID: "1.2.156.3005.2.11100000000013127D011.11330105002500287C.91330106MA00000190.001.0", Title: "营业执照", Issuer: "示例市市场监督管理局",
			Seal: "示例市市场监督管理局电子证照专用章", Preview: "licence.svg", OFD: "licence.ofd",
			Fields: []web.StoryField{
				{Name: "name", Label: "名称", Value: "杭州示例科技有限公司"},
				{Name: "capital", Label: "注册资本", Value: "壹佰万元整", Forgery: "壹亿元整"},
				{Name: "since", Label: "成立日期", Value: "2020年05月01日"},
			},
		},
		Forged:  &web.StoryForgery{Field: "capital", Label: "注册资本", Was: "壹佰万元整", Now: "壹亿元整", Preview: "forged.svg", OFD: "forged.ofd"},
		Genuine: &web.StoryVerdict{Report: report(check.Passed), JSON: "licence.json"},
		Fake:    &web.StoryVerdict{Report: report(check.Failed), JSON: "tampered.json"},
		Proof: &web.StoryProof{
			Entry: "7QK3J5", Index: 41, Size: 57, Action: "licence.issue", Root: strings.Repeat("9f3c", 16),
			Path: []string{strings.Repeat("01ab", 16), strings.Repeat("c2d3", 16), strings.Repeat("77e1", 16)},
		},
	}
	for n := range st.Steps {
		st.Steps[n] = web.StoryStep{
			Curl:  "curl -s -X POST http://localhost:8480/api/v1/licences -H \"Authorization: Bearer $TOKEN\" -d '{\"type\":\"business-licence\",\"holder\":\"91330106MA00000190\"}'",
			Files: []web.StoryLink{{Name: "licence.ofd", Label: fault.Text{ZH: "电子证照", EN: "Licence"}}},
		}
	}
	return st
}

// until returns the story as it stands before a step.
func until(step int) web.StoryState {
	st := finished()
	for n, forget := range []func(){
		web.StoryLogin: func() { st.Citizen = nil }, web.StoryAct: func() { st.Acting = nil }, web.StoryIssue: func() { st.Licence = nil },
		web.StoryLook: func() {}, web.StoryForge: func() { st.Forged = nil }, web.StoryVerify: func() { st.Genuine, st.Fake = nil, nil },
		web.StoryProve: func() { st.Proof = nil },
	} {
		if n >= step {
			forget()
			st.Steps[n] = web.StoryStep{}
		}
	}
	return st
}

func report(result check.Result) check.Report {
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	age := int64(7200)
	r := check.Report{
		File: "营业执照.ofd", Kind: check.KindOFD, Result: result, CheckedAt: now,
		Bundle:   &check.Bundle{ID: "hufu-demo", Sequence: 7, IssuedAt: now, NextUpdate: now.Add(24 * time.Hour), Pinned: true, Signer: "CN=信任包签发,O=示例省", Key: strings.Repeat("a1", 32)},
		Coverage: check.Coverage{Complete: result == check.Passed},
		Licence: &check.Licence{
			Identifier: "1.2.156.3005.2", Title: "营业执照", Holder: "杭州示例科技有限公司", Issuer: "示例市市场监督管理局",
			Fields: []check.Field{{Name: "capital", Label: "注册资本", Text: "壹佰万元整"}},
		},
		Signatures: []check.Signature{{
			ID: "1", Type: "Seal", Format: "v4", Result: result, Pages: []int{1},
			Signer: &check.Signer{Subject: "CN=示例市市场监督管理局", Issuer: "CN=示例省 SM2 签发 CA", Serial: "4F02", NotBefore: now, NotAfter: now.Add(8760 * time.Hour)},
			Seal:   &check.Seal{ESID: "33010620260001", Name: "示例市市场监督管理局电子证照专用章", ValidStart: now, ValidEnd: now.Add(8760 * time.Hour)},
			Time:   check.Time{Used: &now, Source: check.SourceTimeStamp},
			Steps: []check.Step{
				{Name: check.StepParse, Result: check.Passed, Evidence: "GB/T 38540"},
				{Name: check.StepDigests, Result: check.Passed, Evidence: "9 × SM3"},
				{Name: check.StepSignature, Result: check.Passed, Evidence: "SM2"},
				{Name: check.StepSignerRevocation, Result: check.Passed, Evidence: "CRL", Age: &age},
				{Name: check.StepLogProof, Result: check.NotApplicable},
			},
		}},
	}
	switch result {
	case check.Failed:
		text := "签署后被改动：第 1 页（Doc_0/Pages/Page_0/Content.xml）"
		field := "第 1 页“注册资本”（capital）：页面印为“壹亿元整”，附带数据为“壹佰万元整”"
		r.Reasons = []check.Reason{{Code: "digest.mismatch", Text: text}, {Code: "licence.field", Text: field}}
		r.Signatures[0].Steps[1] = check.Step{Name: check.StepDigests, Result: check.Failed, Code: "digest.mismatch", Detail: text, Evidence: "8 / 9"}
		r.Signatures[0].Steps = append(r.Signatures[0].Steps, check.Step{Name: check.StepLicenceData, Result: check.Failed, Code: "licence.field", Detail: field})
		r.Coverage.Problems = []check.Reason{{Code: "coverage.metadata", Text: "未受签名保护的元数据：OFD.xml"}}
		r.Coverage.Uncovered = []string{"OFD.xml"}
	case check.Indeterminate:
		text := "信任包已过更新期限，状态未知；请更新信任包"
		r.Reasons = []check.Reason{{Code: "bundle.stale", Text: text}}
		r.Signatures[0].Steps[3] = check.Step{Name: check.StepSignerRevocation, Result: check.Indeterminate, Code: "bundle.stale", Detail: text}
		r.NonStandard = []string{"容器带有注释"}
	}
	return r
}

// TestTheStoryIsTold goes through the steps; each button does its one act and leads back to the page.
func TestTheStoryIsTold(t *testing.T) {
	story := &tale{}
	each(t, func(c *web.Config) { *story = tale{}; c.Story = story }, func(w *world) {
		b := w.browser()
		p := b.get("/")
		w.shows(p, http.StatusOK, "六步看懂", "在示例应用登录", "伪造一份", "日志证明")
		w.shows(b.post("/story/issue"), http.StatusNotFound, "请从首页重新开始")
		w.shows(b.get("/story/file/licence.svg"), http.StatusNotFound, "请从首页重新开始")
		w.goes(b.post("/story/start"), "/sample/login?story=story-1")
		for step, want := range map[int]string{
			web.StoryLogin: `href="/sample/login?story=story-1"`, web.StoryAct: "选择代表公司", web.StoryIssue: `action="/story/issue"`,
			web.StoryForge: `value="壹亿元整"`, web.StoryVerify: `action="/story/verify"`, web.StoryProve: `action="/story/prove"`, web.StorySteps: strings.Repeat("9f3c", 16),
		} {
			story.state = until(step)
			if p := b.get("/"); p.status != http.StatusOK || !strings.Contains(p.body, want) {
				w.Errorf("before step %d: no %s in %s", step, want, p.text())
			}
		}
		story.state = until(web.StoryIssue)
		story.state.NeedsPIN = true
		if p := b.get("/"); !strings.Contains(p.body, `name="pin" type="password" autocomplete="off"`) {
			w.Errorf("no field for the PIN: %s", p.text())
		}
		w.goes(b.post("/story/issue", "pin", "dragon-7-boat-9"), "/#look")
		story.state.NeedsPIN = false
		if p := b.get("/"); strings.Contains(p.body, `name="pin"`) {
			w.Error("a PIN is asked for where an activation covers it")
		}
		w.goes(b.post("/story/issue"), "/#look")
		w.goes(b.post("/story/forge", "field", "capital", "value", " 壹亿元整 "), "/#forge")
		w.shows(b.post("/story/forge", "field", "capital", "value", " "), http.StatusBadRequest, "请选择要改的栏目")
		w.goes(b.post("/story/verify"), "/#verify")
		w.goes(b.post("/story/prove"), "/#prove")
		if got := strings.Join(story.done, ", "); got != "start, issue dragon-7-boat-9, issue, forge capital=壹亿元整, verify, prove" {
			w.Errorf("done: %s", got)
		}
		story.state = finished()
		p = b.get("/")
		w.shows(p, http.StatusOK, "有效", "无效", "第 1 页“注册资本”（capital）：页面印为“壹亿元整”", "请勿采信这份文件")
		story.err = fault.New(fault.Conflict, "test.order", "Log in first.", "请先登录。")
		w.shows(b.post("/story/issue"), http.StatusConflict, "请先登录。")
		story.err = nil
		story.id = "another run of the program"
		w.shows(b.get("/"), http.StatusOK, "在示例应用登录")
		w.shows(b.post("/story/verify"), http.StatusNotFound, "请从首页重新开始")
		w.goes(b.post("/story/start", "again", "yes"), "/")
	})
}

func TestStoryFiles(t *testing.T) {
	story := &tale{}
	each(t, func(c *web.Config) { *story = tale{}; c.Story = story }, func(w *world) {
		b := w.browser()
		b.post("/story/start")
		p := b.get("/story/file/licence.svg")
		if p.status != http.StatusOK || p.header.Get("Content-Type") != "image/svg+xml" || p.header.Get("Content-Disposition") != "" ||
			!strings.Contains(p.header.Get("Content-Security-Policy"), "default-src 'none'") || !strings.Contains(p.header.Get("Content-Security-Policy"), "sandbox") {
			w.Errorf("%d %v", p.status, p.header)
		}
		if p = b.get("/story/file/licence.ofd"); p.header.Get("Content-Disposition") != "attachment; filename=licence.ofd" {
			w.Errorf("%d %v", p.status, p.header)
		}
		w.shows(b.get("/story/file/..%2f..%2fetc%2fpasswd"), http.StatusNotFound)
	})
}
