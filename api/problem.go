package api

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"hufu/identity/login"
	"hufu/internal/fault"
	"hufu/oidc"
)

// The refusals of this package.
var (
	errInternal = fault.New(fault.Internal, "internal",
		"Something went wrong on our side. Try again in a minute; if it happens again, tell the operator the reference number.",
		"系统出现问题。请一分钟后重试；如仍出现，请将参考编号告知运维人员。")
	errNoToken = fault.New(fault.Unauthenticated, "api.no-token",
		"This needs an access token. Send it as Authorization: Bearer; get it from /oauth2/token with scope api.",
		"此操作需要访问令牌。请以 Authorization: Bearer 发送；令牌由 /oauth2/token 签发，授权范围为 api。")
	errUnreadable = fault.New(fault.Invalid, "api.unreadable",
		"The body could not be read. Send valid JSON, or what the API's page names for this call.",
		"无法读取请求内容。请发送正确的 JSON，或接口文档中注明的格式。")
	errFields = fault.New(fault.Invalid, "api.fields",
		"One or more fields are missing, unknown or malformed. Correct those listed under errors.",
		"有字段缺失、多余或格式不正确。请按 errors 中所列逐一更正。")
	errType = fault.New(fault.Invalid, "api.media-type",
		"This call does not take content of this type. Send what the API's page names.", "不支持该内容类型。请使用接口文档中注明的类型。")
	errTooLarge = fault.New(fault.Limited, "api.too-large",
		"The content is too large. Send less; a file may have 32 MiB.", "内容过大，请减少后再发送；文件不超过 32 MiB。")
	errSlow = fault.New(fault.Limited, "api.too-slow",
		"The content did not arrive in time. Try again over a better line.", "内容未能按时送达，请检查网络后重试。")
	errTooMany = fault.New(fault.Limited, "api.too-many",
		"Too many calls. Wait as long as Retry-After says.", "调用过于频繁，请按 Retry-After 等待后再试。")
	errBusy = fault.New(fault.Unavailable, "api.busy",
		"Too many files are being handled at this moment. Try again in a few seconds.", "当前处理的文件较多，请几秒后再试。")
	errAbandoned = fault.New(fault.Unavailable, "api.abandoned",
		"This took too long or was broken off. Look whether it was done before you repeat it.", "处理超时或已中断。请先确认是否已办理，再决定是否重试。")
	errNoRoute = fault.New(fault.NotFound, "api.no-route",
		"There is no such call. Look it up at /api/docs.", "没有这个接口。请在 /api/docs 中查看。")
	errMethod = fault.New(fault.Invalid, "api.method",
		"This address does not take such a request. The header Allow names what it takes.", "该地址不支持这种请求方式，可用方式见 Allow 头。")
	errKeyReused = fault.New(fault.Conflict, "api.idempotency-key",
		"This Idempotency-Key was used for a different request before. Use a new one.", "该 Idempotency-Key 已用于另一个请求，请更换。")
)

// statuses say which HTTP status answers a kind of failure, and codes which refusals have one of their own.
var (
	statuses = map[fault.Kind]int{
		fault.Internal:        http.StatusInternalServerError,
		fault.Invalid:         http.StatusUnprocessableEntity,
		fault.Unauthenticated: http.StatusUnauthorized,
		fault.Denied:          http.StatusForbidden,
		fault.NotFound:        http.StatusNotFound,
		fault.Conflict:        http.StatusConflict,
		fault.Limited:         http.StatusTooManyRequests,
		fault.Unavailable:     http.StatusServiceUnavailable,
	}
	codes = map[string]int{
		errUnreadable.Code: http.StatusBadRequest,
		errType.Code:       http.StatusUnsupportedMediaType,
		errTooLarge.Code:   http.StatusRequestEntityTooLarge,
		errSlow.Code:       http.StatusRequestTimeout,
		errMethod.Code:     http.StatusMethodNotAllowed,
	}
	titles = map[fault.Kind]fault.Text{
		fault.Internal:        {ZH: "系统出现问题", EN: "Something went wrong"},
		fault.Invalid:         {ZH: "请求无效", EN: "This request is not valid"},
		fault.Unauthenticated: {ZH: "未认证", EN: "Not authenticated"},
		fault.Denied:          {ZH: "无权办理", EN: "Not allowed"},
		fault.NotFound:        {ZH: "没有找到", EN: "Not found"},
		fault.Conflict:        {ZH: "当前状态不允许", EN: "Not possible in this state"},
		fault.Limited:         {ZH: "超出限制", EN: "Beyond a limit"},
		fault.Unavailable:     {ZH: "暂时不可用", EN: "Not available at the moment"},
	}
)

// problem is an answer that says what went wrong (RFC 9457).
type problem struct {
	Type      string       `json:"type" doc:"urn:hufu:problem: and the kind of failure" example:"urn:hufu:problem:denied"`
	Title     string       `json:"title" doc:"The kind of failure, in the language of Accept-Language"`
	Status    int          `json:"status"`
	Detail    string       `json:"detail" doc:"What is wrong and what to do next, in the language of Accept-Language"`
	ZH        string       `json:"zh" doc:"The same as detail, in Chinese, whatever the language asked for"`
	EN        string       `json:"en" doc:"The same in English"`
	Code      string       `json:"code" doc:"Stable name of the failure, never translated" example:"ca.not-holder"`
	Reference string       `json:"reference" doc:"Number under which the operator finds this failure in the log"`
	Errors    []fieldError `json:"errors,omitempty" doc:"What is wrong with which field"`

	headers http.Header
}

// fieldError names a field and what is wrong with it. It never repeats what was sent.
type fieldError struct {
	Location string `json:"location" example:"body.holder"`
	Message  string `json:"message"`
}

func (p *problem) Error() string             { return p.Code }
func (p *problem) GetStatus() int            { return p.Status }
func (p *problem) GetHeaders() http.Header   { return p.headers }
func (p *problem) ContentType(string) string { return "application/problem+json" }

func retryAfter(wait time.Duration) string {
	return strconv.Itoa(max(1, int((wait+time.Second-1)/time.Second)))
}

// tell makes the problem of a failure, and logs it under the problem's reference number: what is not for the caller's
// eyes stands there only.
func (a *API) tell(ctx context.Context, err error) *problem {
	c := callOf(ctx)
	e := known(ctx, err)
	p := &problem{
		Type: "urn:hufu:problem:" + e.Kind.String(), Title: in(c.lang, titles[e.Kind]), Status: cmp.Or(codes[e.Code], statuses[e.Kind]),
		Detail: in(c.lang, e.Text), ZH: e.Text.ZH, EN: e.Text.EN, Code: e.Code, Reference: rand.Text()[:10], headers: http.Header{"Content-Language": {c.lang}},
	}
	switch wait, ok := errors.AsType[*login.Wait](err); {
	case ok:
		p.headers.Set("Retry-After", retryAfter(wait.Until.Sub(a.Now())))
	case e.Kind == fault.Unavailable:
		p.headers.Set("Retry-After", "5")
	case e.Code == errNoToken.Code:
		p.headers.Set("WWW-Authenticate", `Bearer realm="hufu", scope="api"`)
	case e.Kind == fault.Unauthenticated:
		p.headers.Set("WWW-Authenticate", `Bearer realm="hufu", error="invalid_token"`)
	case e.Code == oidc.ErrScope.Code:
		p.headers.Set("WWW-Authenticate", `Bearer realm="hufu", error="insufficient_scope", scope="api"`)
	}
	a.note(c, p, err)
	return p
}

func (a *API) note(c *call, p *problem, err error) {
	level := slog.LevelInfo
	if p.Status == http.StatusInternalServerError {
		level = slog.LevelError
	}
	a.Log.Log(context.Background(), level, "api", "reference", p.Reference, "method", c.method, "path", c.path, "status", p.Status,
		"code", p.Code, "actor", c.actor.String(), "cause", err.Error())
}

// known returns the fault of an error; what has none is internal.
func known(ctx context.Context, err error) *fault.Error {
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Kind != fault.Internal {
		return e
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
		return errAbandoned
	}
	return errInternal
}

// refuse answers outside a handler.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	a.write(w, a.tell(r.Context(), err))
}

func (a *API) write(w http.ResponseWriter, p *problem) {
	body, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("api: a problem that is no JSON: %v", err)) // strings and numbers alone
	}
	for name, values := range p.headers {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n'))
}

// speakProblems makes huma answer with our problems. Its hooks are variables of the process; they are set once, and find
// what they need in the request.
var speakProblems = sync.OnceFunc(func() {
	huma.NewError = func(int, string, ...error) huma.StatusError { return &problem{} } // for the OpenAPI document alone
	huma.NewErrorWithContext = func(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
		c := callOf(ctx.Context())
		p := c.api.tell(ctx.Context(), humaFault(status, message, errs))
		if p.Status != http.StatusInternalServerError {
			for _, err := range errs[:min(len(errs), maxFields)] {
				p.Errors = append(p.Errors, fieldOf(err))
			}
		}
		for name, values := range p.headers { // huma asks errors of handlers alone for headers
			for _, value := range values {
				ctx.SetHeader(name, value)
			}
		}
		return p
	}
})

// humaFault says which of our refusals stands for one of huma's.
func humaFault(status int, message string, errs []error) error {
	switch status {
	case http.StatusBadRequest, http.StatusInternalServerError:
		if status == http.StatusBadRequest || strings.HasPrefix(message, "cannot read request body") {
			return errUnreadable.With("%s", message)
		}
		return fmt.Errorf("%s: %w", message, errors.Join(errs...))
	case http.StatusRequestTimeout:
		return errSlow
	case http.StatusRequestEntityTooLarge:
		return errTooLarge
	case http.StatusUnsupportedMediaType:
		return errType
	default:
		return errFields.With("%s: %d fields", message, len(errs))
	}
}

// fieldOf keeps where and what, and drops the value. A syntax error of the JSON parser quotes one character at most; an
// error that says more than that is not repeated.
func fieldOf(err error) fieldError {
	d, ok := errors.AsType[*huma.ErrorDetail](err)
	if !ok {
		return fieldError{Location: "body", Message: "cannot be read"}
	}
	f := fieldError{Location: d.Location, Message: d.Message}
	if len(f.Location) > maxLocation {
		f.Location = strings.ToValidUTF8(f.Location[:maxLocation], "") + "…"
	}
	if strings.HasPrefix(f.Message, "json:") || strings.Contains(f.Message, "unknown content type") {
		f.Message = "cannot be read"
	}
	return f
}

// What a problem lists at most.
const maxLocation, maxFields = 120, 20
