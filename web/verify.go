package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"

	"hufu/internal/fault"
	"hufu/seal/check"
)

// Verifier checks a file as anybody could offline. It keeps nothing.
type Verifier interface {
	// Verify checks the file under the given trust bundle, or the server's own when bundle is nil. lang is "zh" or "en".
	// An error of kind Invalid says that the file or the bundle is of no known kind; a file that is known but wrong gets
	// a report.
	Verify(ctx context.Context, name string, file, bundle []byte, lang string) (check.Report, error)
}

// Sizes of an upload, and how many are taken at once: in all, for the memory they need, and from one address, so that
// nobody shuts the others out.
const (
	maxUpload  = 32 << 20
	maxBundle  = 8 << 20
	maxText    = 64 << 10
	maxUploads = 16
	maxAddress = 4
	uploadTime = 2 * time.Minute // for the whole body to arrive
)

var (
	errUploadLarge = fault.New(fault.Limited, "web.upload-too-large",
		"The file is larger than 32 MiB. Check it with the command sealcheck on your own computer.",
		"文件超过 32 MiB。请在本地使用 sealcheck 命令验证。")
	errUploadBusy = fault.New(fault.Unavailable, "web.verifier-busy",
		"Many files are being checked at this moment. Try again in a few seconds.", "当前验证的文件较多，请几秒后再试。")
)

// verifyView is the page to check a file, before and after.
type verifyView struct {
	frame
	Report  *reportView // nil before
	Licence string      // identifier in the address, as the QR code printed on a licence has it
	Text    string      // QR text that was pasted
}

// reportView shows a report.
type reportView struct {
	check.Report
	Verdict verdict
	Meaning string
}

// verdict is one of the three states, never told by colour alone.
type verdict struct{ Class, Icon, Word string }

// Verdict returns the state that a result of the check means.
func (f frame) Verdict(r check.Result) verdict {
	switch r {
	case check.Passed:
		return verdict{"yes", "icon-yes", f.T("有效", "Valid")}
	case check.Failed:
		return verdict{"no", "icon-no", f.T("无效", "Not valid")}
	case check.NotApplicable:
		return verdict{"plain", "icon-none", f.T("不适用", "Does not apply")}
	}
	return verdict{"unsure", "icon-unsure", f.T("无法确认", "Cannot be confirmed")}
}

func (f frame) report(r check.Report) *reportView {
	v := &reportView{Report: r, Verdict: f.Verdict(r.Result)}
	switch r.Result {
	case check.Passed:
		v.Meaning = f.T("签名和印章真实，内容自签署后未被改动。", "Signature and seal are genuine, and the content is unchanged since it was signed.")
	case check.Failed:
		v.Meaning = f.T("请勿采信这份文件。原因如下：", "Do not rely on this file. The reasons:")
	default:
		v.Meaning = f.T("没有发现错误，但缺少必要的依据，因此不能确认其真实性。原因如下：", "Nothing wrong was found, but something needed is not known. The reasons:")
	}
	if r.Result == check.Passed && r.Bundle != nil && !r.Bundle.Pinned {
		// Whoever made the bundle decided what is genuine: this platform must not seem to say so.
		v.Verdict.Class, v.Verdict.Icon = "unsure", "icon-unsure"
		v.Verdict.Word = f.T("仅按所附信任包有效", "Valid by the attached trust bundle only")
		v.Meaning = f.T("本结论以随文件提交的信任包为准，并非本平台的认定。信任包由何人签发未经核对：任何人都可以自制信任包，使伪造的文件显示为有效。请将下方公钥指纹与发布机构公布的核对。",
			"This rests on the trust bundle that came with the file, not on this platform. Who signed the bundle was not checked: anybody can make one by which a forgery passes. Compare the key below with the one that its publisher announced.")
	}
	return v
}

// Step returns the verdict of a step, whose words differ from those of a whole file.
func (f frame) Step(r check.Result) verdict {
	v := f.Verdict(r)
	switch r {
	case check.Passed:
		v.Word = f.T("通过", "Passed")
	case check.Failed:
		v.Word = f.T("未通过", "Failed")
	}
	return v
}

// StepTitle returns the name of a step.
func (f frame) StepTitle(n check.StepName) string { return check.Title(n, f.Lang) }

// Age tells how old evidence is.
func (f frame) Age(seconds *int64) string {
	if seconds == nil || *seconds < 0 {
		return ""
	}
	d := time.Duration(*seconds) * time.Second
	switch {
	case d < time.Minute:
		return f.T("刚刚取得", "just now")
	case d < time.Hour:
		return fmt.Sprintf(f.T("%d 分钟前取得", "%d minutes old"), int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf(f.T("%d 小时前取得", "%d hours old"), int(d.Hours()))
	}
	return fmt.Sprintf(f.T("%d 天前取得", "%d days old"), int(d.Hours()/24))
}

// Source says how far the time of signing is trusted.
func (f frame) Source(source string) string {
	switch source {
	case check.SourceTimeStamp:
		return f.T("时间戳", "time-stamp")
	case check.SourceLog:
		return f.T("日志", "log")
	}
	return f.T("自称，未经证明", "claimed, not proven")
}

func (s *Site) verifyView(r *http.Request) *verifyView {
	v := &verifyView{frame: s.frame(r, fault.Text{ZH: "验证文件", EN: "Verify a file"})}
	if id := r.URL.Query().Get("licence"); len(id) <= 256 && utf8.ValidString(id) {
		v.Licence = id
	}
	return v
}

func (s *Site) showVerify(w http.ResponseWriter, r *http.Request) {
	s.show(w, r, "verify", s.verifyView(r))
}

// doVerify checks an upload and shows the report. Nothing is kept, so there is nothing to redirect to.
func (s *Site) doVerify(w http.ResponseWriter, r *http.Request) {
	leave, ok := s.uploads.enter(s.RemoteIP(r))
	if !ok {
		w.Header().Set("Retry-After", "10")
		s.fail(w, r, errUploadBusy)
		return
	}
	defer leave()
	u, err := readUpload(w, r)
	page := s.verifyView(r)
	switch {
	case errors.Is(err, errUploadLarge):
		s.refuse(w, r, http.StatusRequestEntityTooLarge, err)
		return
	case err != nil:
		s.fail(w, r, errForm.With("%w", err))
		return
	case len(u.file) == 0 && u.text != "":
		u.name, u.file, page.Text = "qr.txt", []byte(u.text), u.text
	case len(u.file) == 0:
		page.blame(http.StatusUnprocessableEntity, "file", page.T("请选择要验证的文件。", "Choose the file to verify."))
		s.show(w, r, "verify", page)
		return
	}
	report, err := s.Verifier.Verify(r.Context(), u.name, u.file, u.bundle, page.Lang)
	if err != nil {
		text, ok := s.say(r.Context(), page.Lang, err)
		if !ok || fault.KindOf(err) != fault.Invalid {
			s.fail(w, r, err)
			return
		}
		page.blame(http.StatusUnprocessableEntity, "file", text)
		s.show(w, r, "verify", page)
		return
	}
	page.Report = page.report(report)
	page.Title = page.Report.Verdict.Word + page.T("：", ": ") + u.name
	s.show(w, r, "verify", page)
}
