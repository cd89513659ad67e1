package web

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"

	"hufu/identity/login"
	"hufu/internal/fault"
)

// The refusals of this package.
var (
	errTooLarge = fault.New(fault.Limited, "web.too-large",
		"What you sent is too large. Go back and send less.", "提交的内容过大，请返回后减少内容再提交。")
	errForm = fault.New(fault.Invalid, "web.form",
		"The form could not be read. Go back, load the page again and send it once more.", "无法读取提交的表单。请返回并刷新页面后重新提交。")
	errForeign = fault.New(fault.Denied, "web.foreign",
		"This was sent from another website, so nothing was done. Open the page here and do it again if you want it.",
		"该请求来自其他网站，因此未执行任何操作。如确需办理，请在本站打开页面重新操作。")
	errNotFound = fault.New(fault.NotFound, "web.not-found",
		"There is no such page. Check the address, or start from the home page.", "没有这个页面。请检查网址，或从首页重新进入。")
	errMethod = fault.New(fault.Invalid, "web.method",
		"This address does not take such a request. Start from the home page.", "该网址不支持这种请求方式，请从首页重新进入。")
	errInternal = fault.New(fault.Unavailable, "web.internal",
		"Something went wrong on our side. Try again in a minute; if it happens again, tell the operator the reference number below.",
		"系统出现问题。请一分钟后重试；如仍出现，请将下方的编号告知运维人员。")
)

// problemView is the page of a refusal.
type problemView struct {
	frame
	Status    int
	Heading   string
	Text      string
	Code      string
	Reference string // under which the operator's log has the cause
}

var headings = map[fault.Kind]fault.Text{
	fault.Internal:        {ZH: "系统出现问题", EN: "Something went wrong"},
	fault.Invalid:         {ZH: "请求无效", EN: "This request is not valid"},
	fault.Unauthenticated: {ZH: "请先登录", EN: "Please log in"},
	fault.Denied:          {ZH: "不能办理", EN: "This is not allowed"},
	fault.NotFound:        {ZH: "没有找到", EN: "Not found"},
	fault.Conflict:        {ZH: "暂时不能办理", EN: "This is not possible now"},
	fault.Limited:         {ZH: "超出限制", EN: "Beyond a limit"},
	fault.Unavailable:     {ZH: "服务暂时不可用", EN: "Not available at the moment"},
}

var statuses = map[fault.Kind]int{
	fault.Internal:        http.StatusInternalServerError,
	fault.Invalid:         http.StatusBadRequest,
	fault.Unauthenticated: http.StatusUnauthorized,
	fault.Denied:          http.StatusForbidden,
	fault.NotFound:        http.StatusNotFound,
	fault.Conflict:        http.StatusConflict,
	fault.Limited:         http.StatusTooManyRequests,
	fault.Unavailable:     http.StatusServiceUnavailable,
}

// fail shows the page of a failure, with the status of its kind.
func (s *Site) fail(w http.ResponseWriter, r *http.Request, err error) {
	s.refuse(w, r, statuses[fault.KindOf(err)], err)
}

// refuse shows the page of a failure. What is not for the person goes to the operator's log, under the reference number
// that the page shows.
func (s *Site) refuse(w http.ResponseWriter, r *http.Request, status int, err error) {
	reference := rand.Text()[:10]
	level := slog.LevelInfo
	if status >= http.StatusInternalServerError {
		level = slog.LevelError
	}
	s.Log.Log(r.Context(), level, "web", "reference", reference, "path", r.URL.Path, "status", status, "cause", err.Error())
	e, ok := errors.AsType[*fault.Error](err)
	if !ok || e.Kind == fault.Internal {
		e = errInternal
	}
	heading := headings[e.Kind]
	if e.Code == errInternal.Code {
		heading = headings[fault.Internal]
	}
	v := &problemView{frame: s.frame(r, heading), Status: status, Code: e.Code, Reference: reference}
	v.Heading, v.Text, v.status = v.Title, v.Say(e.Text), status
	v.Title = v.T("错误：", "Error: ") + v.Title
	s.show(w, r, "problem", v)
}

func (s *Site) showNotFound(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD, POST")
		s.refuse(w, r, http.StatusMethodNotAllowed, errMethod)
		return
	}
	s.fail(w, r, errNotFound)
}

// refuseForeign answers a post that another website made the browser send.
func (s *Site) refuseForeign(w http.ResponseWriter, r *http.Request) { s.fail(w, r, errForeign) }

// retryAfter returns in how many seconds the next try will be taken; ok is false for an error that does not know.
func (s *Site) retryAfter(err error) (seconds int, ok bool) {
	wait, ok := errors.AsType[*login.Wait](err)
	if !ok {
		return 0, false
	}
	return max(1, int(wait.Until.Sub(s.Now()).Seconds()+0.999)), true
}

// say returns the text of an error that a form may show; anything else is for fail.
func (s *Site) say(ctx context.Context, lang string, err error) (string, bool) {
	t, ok := fault.TextOf(err)
	if ok {
		s.Log.InfoContext(ctx, "web", "refused", err.Error())
	}
	return in(lang, t), ok
}
