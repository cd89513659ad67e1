package ca

import (
	"fmt"

	"hufu/internal/fault"
)

// The refusals of this package.
var (
	ErrProfile = fault.New(fault.Invalid, "ca.unknown-profile",
		"There is no such certificate profile, or no version of it is in force. Choose one from the list of profiles.", "没有这个证书模板，或其没有生效的版本。请从模板列表中选择。")
	ErrRequest = fault.New(fault.Invalid, "ca.request",
		"The certificate request cannot be used. Make a new one with an SM2 key and the identifier 1234567812345678.", "证书请求无法使用。请用 SM2 密钥和标识 1234567812345678 重新生成。")
	ErrKeyKind = fault.New(fault.Invalid, "ca.key-kind",
		"The profile does not allow this kind of key. Make a request with an allowed one.", "证书模板不允许使用该类密钥。请更换密钥算法后重新申请。")
	ErrKeyUsed = fault.New(fault.Conflict, "ca.key-used",
		"This key already belongs to another holder or another use, or it was reported as lost. Make a new key.", "该密钥已用于其他持有人或其他用途，或已报失。请生成新的密钥。")
	ErrFacts = fault.New(fault.Invalid, "ca.facts",
		"A fact that the certificate needs is missing or malformed. Complete it and apply again.", "证书所需的信息缺失或格式不正确。请补全后重新申请。")
	ErrProfileState = fault.New(fault.Conflict, "ca.profile-state",
		"This version of the profile is published or withdrawn already. Look at its versions again.", "证书模板的该版本已发布或已停用。请重新查看其各个版本。")
	ErrTrustVersion = fault.New(fault.NotFound, "ca.trust-version",
		"There is no such version of the trust list. Choose one from the list of versions (hufu ca trust versions).", "信任清单没有该版本。请从版本列表中选择（hufu ca trust versions）。")
	ErrNotHolder = fault.New(fault.Denied, "ca.not-holder",
		"You may not apply for this holder. Act for the holder, or ask a registration officer.", "您不能为该主体申请证书。请以其名义办理，或联系登记人员。")
	ErrUnknown = fault.New(fault.NotFound, "ca.unknown",
		"No such application or certificate. Check the number.", "没有这个申请或证书。请核对编号。")
	ErrNotMaker = fault.New(fault.Denied, "ca.not-maker",
		"Only the person who entered this application may do that. Ask that person, or make an application of your own.", "只有录入该申请的人员可以这样做。请联系录入人员，或另行提交申请。")
	ErrApprovedBefore = fault.New(fault.Conflict, "ca.approved-before",
		"You have approved this application already. Another officer must decide too.", "您已审核通过该申请，还需另一名审核人员审核。")
	ErrEvidence = fault.New(fault.Conflict, "ca.evidence-missing",
		"Evidence that the profile requires is missing. Attach it, or send the application back.", "缺少证书模板要求的证明材料。请补充材料，或将申请退回。")
	ErrDocument = fault.New(fault.Invalid, "ca.evidence",
		"This evidence cannot be attached. Give kind, media type, and the document or its SM3 and size.", "无法附加该材料。请提供材料种类、媒体类型，以及文件本身或其 SM3 与大小。")
	ErrDocuments = fault.New(fault.Limited, "ca.evidence-size",
		"This is more evidence than an application may have: 20 documents, each 8 MiB, 32 MiB together. Attach smaller ones, or the SM3 alone.", "证明材料超出限制：最多 20 份，每份 8 MiB，合计 32 MiB。请附较小的文件，或仅附 SM3。")
	ErrOpen = fault.New(fault.Limited, "ca.open-applications",
		"You have 200 applications that are not decided. Withdraw those that you do not need, or wait for the officers.", "您有 200 份申请尚未办结。请撤回不需要的申请，或等待审核。")
	ErrState = fault.New(fault.Conflict, "ca.state",
		"The application is not in a state that allows this; look at it again.", "该申请当前状态不允许此操作，请刷新后查看。")
	ErrRevoked = fault.New(fault.Conflict, "ca.revoked",
		"The certificate is already revoked.", "证书已被吊销。")
	ErrReason = fault.New(fault.Invalid, "ca.reason",
		"Give one of the reasons that a certificate can be revoked for.", "请从可选的吊销原因中选择一个。")
	ErrObtained = fault.New(fault.Invalid, "ca.obtained-reason",
		"What was obtained with a key is revoked along only when that key is compromised. Give the reason keyCompromise, or leave it alone.", "仅在密钥泄露时才一并吊销凭该密钥取得的证书。请改用原因 keyCompromise，或不作此要求。")
	ErrIssuer = fault.New(fault.Unavailable, "ca.issuer",
		"The issuing authority cannot sign now. Try again later; your application is kept.", "签发机构暂时无法签名，请稍后再试；您的申请已保留。")
	ErrNoIssuer = fault.New(fault.Conflict, "ca.no-issuer",
		"There is no authority here that issues under this profile. Choose another profile, or have the operator name the authority in the configuration (authorities:).",
		"本系统没有签发此类证书的机构。请选择其他模板，或请运维人员在配置（authorities:）中启用该机构。")
	ErrCrowded = fault.New(fault.Unavailable, "ca.crowded",
		"Too many certificates are being issued at this moment. Try again in a few seconds.", "当前签发请求过多，请几秒后再试。")
	ErrOffline = fault.New(fault.Unavailable, "ca.offline",
		"The key of this authority is with its custodians. Call them together for: hufu ca ceremony sign-crl, or new-issuing.", "该机构的密钥由密钥保管员共同保管。请召集保管员执行 hufu ca ceremony sign-crl 或 new-issuing。")
	ErrOnline = fault.New(fault.Conflict, "ca.online",
		"The root of this installation was made without a ceremony and its key is in the device. Custodians can hold a root only from its making on: hold a ceremony on a fresh installation.", "本系统的根密钥未经密钥仪式生成，保存在密码设备中。只有自生成起才能由保管员共同保管：请在全新安装上举行密钥仪式。")
	ErrCeremony = fault.New(fault.Conflict, "ca.ceremony",
		"A key ceremony has begun here and is not finished. Call the custodians together and run: hufu ca ceremony.", "此处的密钥仪式已开始但尚未完成。请召集保管员并执行 hufu ca ceremony。")
	ErrMade = fault.New(fault.Conflict, "ca.made",
		"The authorities exist already. For a new issuing authority under the same root use: hufu ca ceremony new-issuing.", "根 CA 与签发 CA 已存在。如需在同一根下新建签发 CA，请使用 hufu ca ceremony new-issuing。")
	ErrStrangeRoot = fault.New(fault.Denied, "ca.strange-root",
		"These shares do not open the key of this installation's root. Bring the shares of its own ceremony.", "这些密钥分量无法打开本系统的根密钥。请使用本系统密钥仪式发放的分量。")

	ErrBatchFile = fault.New(fault.Invalid, "ca.batch-encoding",
		"The file cannot be read as text. Save it as CSV in UTF-8 or GB18030.", "无法按文本读取文件。请另存为 UTF-8 或 GB18030 编码的 CSV。")
	ErrBatchSize = fault.New(fault.Limited, "ca.batch-size",
		"The file is too large: 48 MiB and 100,000 rows at most. Divide it.", "文件过大：最多 48 MiB、100000 行。请拆分后上传。")
	ErrBatchEmpty = fault.New(fault.Invalid, "ca.batch-empty",
		"The file has no rows. Put a header into the first line and one application into each further one.", "文件没有数据行。首行应为表头，其后每行一个申请。")
	ErrBatchHeader = fault.New(fault.Invalid, "ca.batch-header",
		"A column is unknown, there twice or missing. Columns are profile, holder or number_type and number, organization or organization_number, csr, and fact.NAME; for corrections row too.", "有未知、重复或缺失的列。可用的列为 profile、holder 或 number_type 与 number、organization 或 organization_number、csr 以及 fact.名称；更正时另需 row。")
	ErrBatchWide = fault.New(fault.Limited, "ca.batch-cell",
		"More than 64 columns, or a cell of more than 16 KiB. Correct this row and send the file again.", "超过 64 列，或有单元格超过 16 KiB。请更正该行后重新上传。")
	ErrBatchQuotes = fault.New(fault.Invalid, "ca.batch-quotes",
		"The quotation marks do not match. A cell with commas, quotes or line breaks stands in quotes, and a quote in it is doubled.", "引号不匹配。含逗号、引号或换行的单元格应加引号，其中的引号写两次。")
	ErrBatchNumber = fault.New(fault.Invalid, "ca.batch-row-number",
		"The column row does not name a failed row of this batch, or names one twice. Take the numbers from the batch's result.", "row 列所填不是本批次的失败行，或有重复。请使用批次结果中的行号。")
	ErrBatchTwin = fault.New(fault.Conflict, "ca.batch-twin",
		"Another row before has the same certificate request. Take one of them out, or make a request with another key.", "前面已有一行使用同一证书请求。请删除其一，或用新的密钥生成请求。")
	ErrBatchRow = fault.New(fault.Invalid, "ca.batch-row",
		"This row has too few or too many cells, or does not say for whom it is. Give the holder's subject id, or number type and number.", "该行单元格数量不符，或未说明持有人。请填写持有人主体编号，或证件类型与证件号码。")
	ErrBatchKey = fault.New(fault.Conflict, "ca.batch-key",
		"Another file was sent under this idempotency key before. Use a new key.", "该幂等键已用于另一个文件。请更换后再试。")
	ErrBatchBusy = fault.New(fault.Conflict, "ca.batch-busy",
		"Rows of this batch still wait to be entered. Decide when all are.", "本批次仍有未录入的行。请待全部录入后再审核。")
	ErrBatchMaker = fault.New(fault.Denied, "ca.batch-maker",
		"Who brought this batch, or decided on it, may not act any more. Another officer has to bring the rows in again, or decide.", "该批次的提交人或审核人已无权办理。请由其他人员重新提交或审核。")
	ErrBatchState = fault.New(fault.Conflict, "ca.batch-state",
		"The batch is not in a state that allows this; look at it again.", "该批次当前状态不允许此操作，请刷新后查看。")
)

// wrongFact is ErrFacts whose text names the field: a name of the profile's, or one that the applicant gave. What was stated
// in it stays out of the text.
func wrongFact(field, format string, args ...any) *fault.Error {
	e := ErrFacts.With(format, args...)
	e.Text = fault.Text{
		EN: fmt.Sprintf("The field %.60q is missing, malformed or not yours to state. Correct it and apply again.", field),
		ZH: fmt.Sprintf("字段 %.60q 缺失、格式不正确，或不应由您填写。请更正后重新申请。", field),
	}
	return e
}
