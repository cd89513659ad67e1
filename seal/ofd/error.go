package ofd

import (
	"errors"
	"fmt"
)

// Error is a refusal of this package. It has the shape of a fault (stable code, words for a person in both languages,
// detail for the operator); the house plan keeps this package on gm alone, so callers on higher floors wrap it.
type Error struct {
	Code   string
	EN, ZH string
	Detail string
	cause  error
}

// Error returns the detail followed by the English words.
func (e *Error) Error() string {
	if e.Detail == "" {
		return e.EN
	}
	return e.Detail + ": " + e.EN
}

// Unwrap returns the cause, if any.
func (e *Error) Unwrap() error { return e.cause }

// Is matches by code, so that the package-level values are sentinels.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// With returns a copy with detail; %w keeps a cause.
func (e *Error) With(format string, args ...any) *Error {
	detail := fmt.Errorf(format, args...)
	c := *e
	c.Detail, c.cause = detail.Error(), errors.Unwrap(detail)
	return &c
}

func newError(code, en, zh string) *Error { return &Error{Code: code, EN: en, ZH: zh} }

// What Open, the model and the signer refuse.
var (
	ErrNotOFD         = newError("ofd.not-ofd", "this is not an OFD document; give the .ofd file itself", "这不是 OFD 文件；请提供 .ofd 原文件")
	ErrDamaged        = newError("ofd.damaged", "the OFD container is damaged; ask the sender for the file again", "OFD 容器已损坏；请向发送方重新索取该文件")
	ErrDuplicate      = newError("ofd.duplicate-name", "duplicate name in the container: two readers may show two different documents; do not rely on this file", "容器内有重复的文件名：不同阅读器可能显示不同内容；请勿采信该文件")
	ErrPath           = newError("ofd.bad-path", "the container holds a path that is not allowed; do not rely on this file", "容器内含不允许的路径；请勿采信该文件")
	ErrHeaders        = newError("ofd.headers-disagree", "the headers of the container disagree: two readers may show two different documents; do not rely on this file", "容器的文件头相互矛盾：不同阅读器可能显示不同内容；请勿采信该文件")
	ErrTwoEnds        = newError("ofd.two-ends", "the container has more than one possible end record; do not rely on this file", "容器存在多个可能的结尾记录；请勿采信该文件")
	ErrUnsupported    = newError("ofd.unsupported", "the container uses encryption, ZIP64 or a compression that OFD does not allow; save the document again without it", "容器使用了 OFD 不允许的加密、ZIP64 或压缩方式；请重新保存文件")
	ErrTooLarge       = newError("ofd.too-large", "the document exceeds the limits of size, number, depth or compression; use a smaller file", "文件的大小、数量、层级或压缩比超出限制；请使用较小的文件")
	ErrXML            = newError("ofd.bad-xml", "an XML part of the document cannot be read; ask the sender for the file again", "文件中的 XML 部分无法读取；请向发送方重新索取该文件")
	ErrMissing        = newError("ofd.missing-part", "a part that the document needs is not in it; ask the sender for the whole file", "文件缺少必需的部分；请向发送方索取完整文件")
	ErrWholeProtected = newError("ofd.whole-protected", "the whole document is protected by an earlier signature, its list of signatures included, and another signature would break it; sign a copy from before, or have the first signer allow further signatures", "文件已被此前的签名整体保护（含签名列表），再次签名会使其失效；请使用签名前的副本，或请首位签名人改用可续签方式")
	ErrListMissing    = newError("ofd.signature-list-missing", "the document names a list of signatures that is not in it; do not sign this copy, ask for the original", "文件指明的签名列表不存在；请勿签署该副本，应索取原件")
	ErrBody           = newError("ofd.no-such-body", "the document to be signed cannot be told: the file holds several; split it first", "文件包含多个文档，无法确定要签署的文档；请先拆分")
	ErrStamp          = newError("ofd.bad-stamp", "the stamp does not lie on a page of the document; choose another page or position", "印章位置不在文件页面内；请选择其他页面或位置")
	ErrContent        = newError("ofd.bad-content", "the page cannot be written as asked; correct the named value", "页面内容无法写入；请更正所指出的值")
)
