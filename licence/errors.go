package licence

import (
	"fmt"

	"hufu/internal/fault"
)

// The refusals of this package.
var (
	ErrCatalogue = fault.New(fault.Invalid, "licence.catalogue",
		"A licence type is wrong. Correct the named file and start again.", "证照类型文件有误。请更正所指文件后重新启动。")
	ErrType = fault.New(fault.Invalid, "licence.unknown-type",
		"There is no such licence type. Choose one from the catalogue.", "没有这种证照。请从证照目录中选择。")
	ErrUnknown = fault.New(fault.NotFound, "licence.unknown",
		"There is no such licence. Check the licence identifier.", "没有这份证照。请核对证照标识。")
	ErrNotIssuer = fault.New(fault.Denied, "licence.not-issuer",
		"Only a licence officer of the issuing organisation may do this. Choose the capacity of your post.", "只有签发机构的证照签发员可以办理。请以任职身份办理。")
	ErrNotHolder = fault.New(fault.Denied, "licence.not-holder",
		"Only the holder may show a licence. Act as the holder, or for the holder.", "只有持证人可以亮证。请以持证人身份办理。")
	ErrHolder = fault.New(fault.Invalid, "licence.holder",
		"This licence is for another kind of holder. Choose the right holder or the right licence type.", "该证照不适用于此类持证主体。请核对持证主体或证照类型。")
	ErrField = fault.New(fault.Invalid, "licence.field",
		"A field of the licence is missing or wrong. Correct it and try again.", "证照填写内容缺失或有误。请更正后重试。")
	ErrReason = fault.New(fault.Invalid, "licence.reason",
		"Say why, in 1 to 200 characters.", "请用 1 至 200 个字说明原因。")
	ErrKey = fault.New(fault.Conflict, "licence.key-reused",
		"This idempotency key was used for another order. Take a new key.", "该幂等键已用于另一份申请。请换用新的幂等键。")
	ErrBusy = fault.New(fault.Conflict, "licence.in-progress",
		"This licence is being made. Look again in a moment; if it was given up, ask anew.", "该证照正在制作中。请稍后查看；如已中止，请重新提交。")
	ErrState = fault.New(fault.Conflict, "licence.state",
		"The licence is not in a state that allows this; look at it again.", "证照当前状态不允许此操作，请刷新后查看。")
	ErrSeal = fault.New(fault.Unavailable, "licence.no-seal",
		"The organisation has no active seal for licences. Have one made, or name the seal to use.", "本单位没有可用的印章。请先制作印章，或指定所用印章。")
	ErrProof = fault.New(fault.Invalid, "licence.proof",
		"This is not a proof for this licence. Fetch it from the log again.", "该证明不属于此证照。请重新从日志获取。")
	ErrShow = fault.New(fault.Invalid, "licence.show",
		"Choose fields of the licence to show, and a time of at most 24 hours.", "请选择要出示的证照字段，出示时间不超过 24 小时。")
	ErrPage = fault.New(fault.Invalid, "licence.page",
		"This page of the list does not exist. Start at the first one.", "列表页码无效，请从第一页重新查询。")
	ErrPreview = fault.New(fault.Invalid, "licence.preview",
		"This document cannot be drawn. Give the original OFD file.", "该文件无法预览。请提供 OFD 原文件。")
)

// wrongField is an ErrField that names the field and what is wrong with it.
func wrongField(f Field, en, zh string) error {
	e := ErrField.With("field %q: %s", f.Name, en)
	e.Text = fault.Text{
		EN: fmt.Sprintf("Field %q %s. Correct it and try again.", f.Label.EN, en),
		ZH: fmt.Sprintf("“%s”%s。请更正后重试。", f.Label.ZH, zh),
	}
	return e
}
