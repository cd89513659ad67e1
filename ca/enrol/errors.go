package enrol

import "hufu/internal/fault"

// The refusals of this package.
var (
	ErrUnknown = fault.New(fault.NotFound, "enrol.unknown",
		"There is no such enrolment secret or registration client. Check the reference number.", "没有这个注册凭据或注册客户端。请核对参考号。")
	ErrSecret = fault.New(fault.Unauthenticated, "enrol.secret",
		"Reference number and secret do not hold, or no longer. Ask the registrar for a new enrolment secret.", "参考号与注册口令不符或已失效。请向登记人员申领新的注册凭据。")
	ErrSpent = fault.New(fault.Denied, "enrol.spent",
		"The enrolment secret was used, has ended or is revoked. Ask the registrar for a new one.", "注册凭据已使用、已到期或已撤销。请向登记人员申领新的凭据。")
	ErrSecretForm = fault.New(fault.Invalid, "enrol.secret-form",
		"The enrolment secret cannot be made as asked. Correct the field named.", "注册凭据的内容不正确。请更正所指字段。")
	ErrSigner = fault.New(fault.Unauthenticated, "enrol.signer",
		"The certificate that was shown is not one of this authority's, or does not count now. Use a valid one, or an enrolment secret.", "所出示的证书不是本机构签发或当前无效。请使用有效证书或注册凭据。")
	ErrRights = fault.New(fault.Denied, "enrol.rights",
		"You may not ask for this. Ask for the same kind of certificate as the one you hold, or have the right given to you.", "您无权提出该请求。请申请与所持证书同类的证书，或申请授权。")
	ErrWay = fault.New(fault.Denied, "enrol.way",
		"Certificates of this profile are not given by this protocol. Apply by another way.", "该模板的证书不能通过此协议申请，请使用其他方式。")
	ErrMessage = fault.New(fault.Invalid, "enrol.message",
		"The message cannot be used. Correct it and send it again.", "报文无法使用。请更正后重新发送。")
	ErrTransaction = fault.New(fault.Conflict, "enrol.transaction",
		"The transaction is in another state, or its identifier was used before. Begin a new one.", "事务状态不符或事务标识已被使用。请重新发起。")
	ErrLimited = fault.New(fault.Limited, "enrol.limited",
		"Too many requests. Wait a little, then try again.", "请求过于频繁，请稍后再试。")
	ErrInsecure = fault.New(fault.Denied, "enrol.insecure",
		"A secret must not travel in clear. Use https.", "注册口令不得明文传输，请使用 https。")
	ErrRejected = fault.New(fault.Denied, "enrol.rejected",
		"An officer has rejected the application. Ask the registration office why.", "申请已被审核人员驳回。请向登记机构了解原因。")
)
