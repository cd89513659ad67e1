package web_test

import (
	"bytes"
	"context"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"hufu/internal/fault"
	"hufu/seal/check"
	"hufu/web"
)

// judge is a verifier whose judgement the content of the file tells.
type judge struct {
	mu         sync.Mutex // uploads come side by side
	name, lang string
	bundle     []byte
}

func (j *judge) Verify(_ context.Context, name string, file, bundle []byte, lang string) (check.Report, error) {
	j.mu.Lock()
	j.name, j.lang, j.bundle = name, lang, bundle
	j.mu.Unlock()
	switch string(file) {
	case "odd":
		return check.Report{}, check.ErrUnknownKind
	case "crash":
		return check.Report{}, errBroken
	case "frozen":
		return check.Report{}, fault.New(fault.Unavailable, "test.bundle", "No bundle yet. Try again.", "信任包尚未生成，请稍后再试。")
	}
	r := report(check.Result(file))
	r.Bundle.Pinned = bundle == nil
	r.File = name
	return r, nil
}

// upload posts files as a browser does: name of the field, name of the file, content.
func (b *browser) upload(files ...string) page {
	b.w.Helper()
	var body bytes.Buffer
	m := multipart.NewWriter(&body)
	for i := 0; i < len(files); i += 3 {
		part, err := m.CreateFormFile(files[i], files[i+1])
		b.w.must(err)
		_, err = io.WriteString(part, files[i+2])
		b.w.must(err)
	}
	b.w.must(m.Close())
	return b.do("POST", "/verify", m.FormDataContentType(), &body)
}

func TestVerify(t *testing.T) {
	j := &judge{}
	each(t, func(c *web.Config) { c.Verifier = j }, func(w *world) {
		b := w.browser()
		w.shows(b.get("/verify"), http.StatusOK, "验证文件", "不保存")
		w.shows(b.upload("file", "a.ofd", "PASSED", "bundle", "", ""), http.StatusOK, "有效", "内容自签署后未被改动", "内容完整性 通过", "hufu-demo", "时间戳", "2 小时前取得")
		if j.bundle != nil || j.lang != "zh" {
			w.Errorf("bundle %q, lang %q", j.bundle, j.lang)
		}
		w.shows(b.upload("file", "a.ofd", "FAILED", "bundle", "t.bundle", "trust"), http.StatusOK, "无效", "请勿采信",
			"签署后被改动：第 1 页", "第 1 页“注册资本”（capital）：页面印为“壹亿元整”", "内容完整性 未通过", "部分内容不受签名保护")
		if string(j.bundle) != "trust" {
			w.Errorf("bundle %q", j.bundle)
		}
		p := b.upload("file", "a.ofd", "PASSED", "bundle", "mine.bundle", "made by the forger")
		w.shows(p, http.StatusOK, "仅按所附信任包有效", "并非本平台的认定", "任何人都可以自制信任包")
		if strings.Contains(p.body, "签名和印章真实") || strings.Contains(p.body, "<title>有效") {
			w.Error("a stranger's bundle makes the platform say that a file is genuine")
		}
		w.shows(b.upload("file", "a.ofd", "INDETERMINATE"), http.StatusOK, "无法确认", "信任包已过更新期限", "容器带有注释")
		w.shows(b.upload("file", "", "", "text", "", " PASSED\n"), http.StatusOK, "有效", "qr.txt")
		w.shows(b.get("/verify?licence=1.2.156.3005.2.1"), http.StatusOK, "您扫描的是证照 1.2.156.3005.2.1", "二维码本身不能证明证照真实")
		w.shows(b.upload("file", "", ""), http.StatusUnprocessableEntity, "错误：", "请选择要验证的文件。")
		w.shows(b.upload("file", "a.txt", "odd"), http.StatusUnprocessableEntity, "无法识别该文件")
		w.shows(b.upload("file", "a.ofd", "frozen"), http.StatusServiceUnavailable, "信任包尚未生成")
		p = b.upload("file", "a.ofd", "crash")
		w.shows(p, http.StatusInternalServerError, "系统出现问题")
		if strings.Contains(p.body, "hunter2") {
			w.Error("the cause is shown")
		}
		p = b.upload("file", `C:\temp\"><script>alert(1)</script>.ofd`, "PASSED")
		if w.shows(p, http.StatusOK); strings.Contains(p.body, "<script") || strings.Contains(j.name, `\`) {
			w.Errorf("name %q: %s", j.name, p.body)
		}
		b.headers = http.Header{"Sec-Fetch-Site": {"cross-site"}}
		w.shows(b.upload("file", "a.ofd", "PASSED"), http.StatusForbidden, "该请求来自其他网站")
	})
}

// TestSlowUploadsShutNobodyOut holds as many uploads open as one address may.
func TestSlowUploadsShutNobodyOut(t *testing.T) {
	t.Parallel()
	site := must(web.New(web.Config{
		Origin: "http://localhost:8480", Logins: guest{}, People: guest{}, Verifier: &judge{},
		RemoteIP: func(r *http.Request) string { return r.Header.Get("From") },
	}))
	server := httptest.NewServer(site.Handler())
	t.Cleanup(server.Close)
	patient := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
	post := func(from string, body io.Reader) int {
		r := must(http.NewRequestWithContext(t.Context(), "POST", server.URL+"/verify", body))
		r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
		r.Header.Set("From", from)
		client := http.DefaultClient
		if _, slow := body.(*io.PipeReader); slow { // its body is asked for when it has its place
			r.Header.Set("Expect", "100-continue")
			client = patient
		}
		resp, err := client.Do(r)
		if err != nil {
			return 0
		}
		defer resp.Body.Close()
		return resp.StatusCode
	}
	whole := "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nPASSED\r\n--x--\r\n"
	var writers []*io.PipeWriter
	ended := make(chan int)
	for range 4 {
		r, w := io.Pipe()
		writers = append(writers, w)
		go func() { ended <- post("192.0.2.1", r) }()
		must(io.WriteString(w, whole[:40])) // it was taken off the pipe, so the request is on its way
	}
	refused := false
	for range 200 {
		if refused = post("192.0.2.1", strings.NewReader(whole)) == http.StatusServiceUnavailable; refused {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if !refused {
		t.Error("an address has more uploads at once than it may")
	}
	if got := post("192.0.2.2", strings.NewReader(whole)); got != http.StatusOK {
		t.Errorf("another address is shut out: %d", got)
	}
	for _, w := range writers {
		must(io.WriteString(w, whole[40:]))
		w.Close()
	}
	for range writers {
		if got := <-ended; got != http.StatusOK {
			t.Errorf("a slow upload ended with %d", got)
		}
	}
	if got := post("192.0.2.1", strings.NewReader(whole)); got != http.StatusOK {
		t.Errorf("the places were not given back: %d", got)
	}
}

func TestUploadsAreBounded(t *testing.T) {
	each(t, func(c *web.Config) { c.Verifier = &judge{} }, func(w *world) {
		b := w.browser()
		w.shows(b.upload("file", "a.ofd", strings.Repeat("x", 32<<20+1)), http.StatusRequestEntityTooLarge, "文件超过 32 MiB")
		w.shows(b.upload("file", "a.ofd", "PASSED", "bundle", "b", strings.Repeat("x", 8<<20+1)), http.StatusRequestEntityTooLarge, "文件超过 32 MiB")
		w.shows(b.upload("other", "a", strings.Repeat("x", 50<<20)), http.StatusRequestEntityTooLarge, "文件超过 32 MiB")
		w.shows(b.do("POST", "/verify", "multipart/form-data; boundary=x", strings.NewReader("--x\r\nContent-Dis")), http.StatusBadRequest, "无法读取提交的表单")
		w.shows(b.do("POST", "/verify", "text/plain", strings.NewReader("PASSED")), http.StatusBadRequest, "无法读取提交的表单")
		w.shows(b.upload("file", "a.ofd", "PASSED"), http.StatusOK, "有效")
	})
}
