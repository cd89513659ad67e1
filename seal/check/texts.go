package check

import (
	"fmt"
	"strings"

	"hufu/certs"
)

// words are the texts of a code: {Chinese, English}. Verbs are filled by position.
var words = map[string][2]string{
	"unsigned":                {"文件没有签名或印章：无从判断来源和完整性", "the document carries no signature and no seal: nothing tells where it comes from"},
	"signature-list-missing":  {"文件指明的签名列表 %[1]s 不存在：签名可能被移除", "the list of signatures %[1]s that the document names is missing: signatures may have been taken out"},
	"signature-list-bad":      {"签名列表 %[1]s 无法读取", "the list of signatures %[1]s cannot be read"},
	"orphan-signature":        {"孤立的签名目录 %[1]s：签名仍在文件内，却已从签名列表中移除", "orphan signature folder %[1]s: the signature is still in the file but was taken out of the list"},
	"content.unchanged":       {"文件内容自签署后未被改动", "the content is unchanged since it was signed"},
	"bundle.unpinned":         {"信任包的签发者未经核对：请核对其公钥指纹 %[1]s", "the signer of the trust bundle was taken as given; compare its key fingerprint %[1]s"},
	"not-possible":            {"前面的部分无法读取，此项无法判断", "cannot be told, because an earlier part cannot be read"},
	"parse.signature-xml":     {"签名描述文件无法读取：%[1]s", "the description of the signature cannot be read: %[1]s"},
	"parse.value-missing":     {"签名值文件 %[1]s 缺失", "the signature value %[1]s is missing"},
	"parse.value":             {"签名值无法解析：%[1]s", "the signature value cannot be read: %[1]s"},
	"parse.seal":              {"电子印章无法解析：%[1]s", "the seal cannot be read: %[1]s"},
	"parse.qr":                {"二维码文本无法解析：%[1]s", "the QR text cannot be read: %[1]s"},
	"parse.certificate":       {"证书无法解析：%[1]s", "the certificate cannot be read: %[1]s"},
	"digest.mismatch":         {"签署后被改动：%[1]s", "changed after signing: %[1]s"},
	"digest.missing":          {"签名所列的文件缺失：%[1]s", "listed by the signature but missing: %[1]s"},
	"digest.list-changed":     {"%[1]s 被改动：有人在不允许续签的文件上增删了签名", "%[1]s changed: signatures were added or removed although this one allows no further ones"},
	"digest.none":             {"签名没有列出任何受保护的文件", "the signature lists no file that it protects"},
	"digest.method":           {"摘要算法 %[1]s 不受支持", "digest algorithm %[1]s is not supported"},
	"coverage.drawn":          {"未受签名保护、却会影响显示内容：%[1]s", "not protected by the signature, yet able to change what is drawn: %[1]s"},
	"coverage.metadata":       {"未受签名保护的元数据：%[1]s", "metadata not protected by the signature: %[1]s"},
	"coverage.orphan":         {"文件中未被引用、也未受签名保护的部分：%[1]s", "neither used by the document nor protected: %[1]s"},
	"coverage.unreadable":     {"部分内容无法读取，不能确定签名的保护范围：%[1]s", "a part cannot be read, so what the signature protects cannot be told: %[1]s"},
	"coverage.missing":        {"引用的文件缺失：%[1]s", "referenced file missing: %[1]s"},
	"datahash.mismatch":       {"签名描述文件 %[1]s 在签署后被改动（例如移动了印章位置）", "the description of the signature %[1]s was changed after signing (for example, a stamp was moved)"},
	"datahash.z-prefixed":     {"数据摘要是带 Z 值前缀的摘要，不是 %[1]s 的普通 SM3 摘要", "the data hash is a Z-prefixed digest instead of the plain SM3 of %[1]s"},
	"datahash.property":       {"签名所指的文件是 %[1]s，而不是 %[2]s", "the signature is about %[1]s, not about %[2]s"},
	"datahash.content":        {"所签的内容与该文件不符", "the signature is over other content than this file"},
	"datahash.no-content":     {"被签的原文未提供", "the signed content is not at hand"},
	"signature.wrong":         {"签名值无效：签名或被签内容被改动，或不是该证书的持有人所签", "the signature is wrong: it or what it signs was changed, or another key made it"},
	"signature.algorithm":     {"签名算法 %[1]s 不受支持", "signature algorithm %[1]s is not supported"},
	"signer.unknown":          {"签名人未知：文件内没有证书，请另行提供签名人证书", "the signer is unknown: no certificate in the file; provide the signer's certificate"},
	"certificate.expired":     {"签署时证书已过期（%[1]s 到期，签署于 %[2]s）", "the certificate had expired at signing (ended %[1]s, signed %[2]s)"},
	"certificate.not-yet":     {"签署时证书尚未生效（%[1]s 生效，签署于 %[2]s）", "the certificate was not yet valid at signing (from %[1]s, signed %[2]s)"},
	"certificate.ended-since": {"证书此后已过期（%[1]s），而签署时间只是自称", "the certificate has expired since (%[1]s), and the signing time is only a claim"},
	"certificate.no-time":     {"没有签署时间，无法判断证书当时是否有效", "no signing time: whether the certificate was valid then cannot be told"},
	"maker.expired":           {"制章时制章人证书已过期（%[1]s 到期，制章于 %[2]s）", "the seal maker's certificate had expired when the seal was made (ended %[1]s, made %[2]s)"},
	"maker.not-yet":           {"制章时制章人证书尚未生效（%[1]s 生效，制章于 %[2]s）", "the seal maker's certificate was not yet valid when the seal was made (from %[1]s, made %[2]s)"},
	"revocation.no-source":    {"没有可用的吊销信息；请更新信任包", "no revocation information at hand; update the trust bundle"},
	"revocation.revoked":      {"证书在签署前已被吊销（%[1]s）", "the certificate had been revoked before signing (%[1]s)"},
	"revocation.later":        {"证书此后被吊销（%[1]s），而签署时间只是自称", "the certificate was revoked since (%[1]s), and the signing time is only a claim"},
	"seal.maker-signature":    {"制章人签名无效：印章被改动或系伪造", "the seal maker's signature is wrong: the seal was changed or forged"},
	"seal.differs":            {"%[1]s 与签名内的印章不同", "%[1]s differs from the signed seal"},
	"seal.signer-not-listed":  {"签名人不在印章的签章者列表中；若证书已更新，须重新制章", "the signer is not in the seal's list; if the certificate was renewed, the seal must be remade"},
	"seal.no-usable-signer":   {"印章所列的签章者证书均已失效：该印章不能再使用，须重新制章", "no certificate in the seal's list is valid: the seal can not be used and must be remade"},
	"seal.expired":            {"签署时印章已过期（%[1]s 到期，签署于 %[2]s）", "the seal had expired at signing (ended %[1]s, signed %[2]s)"},
	"seal.not-yet":            {"签署时印章尚未生效（%[1]s 生效，签署于 %[2]s）", "the seal was not yet valid at signing (from %[1]s, signed %[2]s)"},
	"seal.expired-now":        {"印章已过期（%[1]s）", "the seal has expired (%[1]s)"},
	"seal.not-yet-now":        {"印章尚未生效（%[1]s）", "the seal is not yet valid (%[1]s)"},
	"seal.ended-since":        {"印章此后已过期（%[1]s），而签署时间只是自称", "the seal has expired since (%[1]s), and the signing time is only a claim"},
	"seal.no-time":            {"没有签署时间，无法判断印章当时是否有效", "no signing time: whether the seal was valid then cannot be told"},
	"seal.status-unknown":     {"印章状态未知；请更新信任包", "the state of the seal is not known; update the trust bundle"},
	"seal.status-since":       {"印章此后（%[2]s）状态变为“%[1]s”，而签署时间只是自称", "the seal became %[1]s since (%[2]s), and the signing time is only a claim"},
	"seal.suspended":          {"印章自 %[1]s 起被冻结", "the seal is frozen since %[1]s"},
	"seal.revoked":            {"印章自 %[1]s 起已注销", "the seal is revoked since %[1]s"},
	"seal.replaced":           {"印章自 %[1]s 起已更换", "the seal was replaced on %[1]s"},
	"bundle.missing":          {"没有信任包", "there is no trust bundle"},
	"bundle.stale":            {"信任包已过更新期限（%[1]s），状态未知；请更新信任包", "the trust bundle is past its update time (%[1]s), so the state is unknown; get a new one"},
	"timestamp.not-a-token":   {"时间戳不是有效的令牌（not a token）：%[1]s", "the time-stamp is not a token: %[1]s"},
	"timestamp.wrong":         {"时间戳无效：%[1]s", "the time-stamp is wrong: %[1]s"},
	"timestamp.unknown":       {"时间戳完好，但签发机构不受信任：%[1]s", "the time-stamp is sound, but its authority is not trusted: %[1]s"},
	"time.future":             {"所称签署时间 %[1]s 晚于检查时间", "the claimed signing time %[1]s is later than the time of this check"},
	"time.order":              {"所称签署时间 %[1]s 晚于可信时间 %[2]s", "the claimed signing time %[1]s is later than the trusted time %[2]s"},
	"time.outside":            {"所称签署时间不在证书或印章的有效期内：签署于证书或印章过期之后（或生效之前）", "the claimed signing time lies outside of the validity of certificate or seal: signed after they had expired (or before they began)"},
	"time.claimed-only":       {"证书或印章此后已失效，而签署时间只是自称：没有可信时间证明签署在先", "certificate or seal have ended since, and the signing time is only a claim: no trusted time proves that signing came first"},
	"time.none":               {"没有签署时间", "there is no signing time"},
	"log.malformed":           {"日志证明无法读取：%[1]s", "the proof from the log cannot be read: %[1]s"},
	"log.wrong":               {"日志证明不成立：%[1]s", "the proof from the log does not hold: %[1]s"},
	"log.other":               {"日志证明所证明的是另一签名", "the proof from the log is about another signature"},
	"log.unknown":             {"信任包中没有该日志的密钥", "the trust bundle knows no key of this log"},
	"log.quorum":              {"日志检查点缺少足够的见证", "too few witnesses have cosigned the log's checkpoint"},
	"log.forked":              {"日志分叉：同一大小的日志出现两个不同的根", "the log is forked: two different roots for one size"},
	"licence.identifier":      {"证照标识不正确：%[1]s", "the licence identifier is wrong: %[1]s"},
	"licence.unknown":         {"证照状态未知；请更新信任包", "the state of the licence is not known; update the trust bundle"},
	"licence.expired":         {"证照已过有效期（%[1]s）", "the licence has expired (%[1]s)"},
	"licence.not-yet":         {"证照尚未生效（%[1]s）", "the licence is not yet valid (%[1]s)"},
	"licence.suspended":       {"证照自 %[1]s 起被暂扣", "the licence is suspended since %[1]s"},
	"licence.revoked":         {"证照自 %[1]s 起已被吊销", "the licence is revoked since %[1]s"},
	"licence.replaced":        {"证照自 %[1]s 起已被新版本取代", "the licence was replaced by a new version on %[1]s"},
	"licence.cancelled":       {"证照自 %[1]s 起已注销", "the licence is cancelled since %[1]s"},
	"licence.withdrawn":       {"证照自 %[1]s 起已撤销", "the licence is withdrawn since %[1]s"},
	"licence.data":            {"证照附带的数据无法读取：%[1]s", "the attached licence data cannot be read: %[1]s"},
	"licence.twice":           {"文件附有多份证照数据", "the document has several attachments of licence data"},
	"licence.unbound":         {"证照数据没有与页面内容绑定", "the licence data is not bound to what the page prints"},
	"licence.field":           {"第 %[1]d 页“%[2]s”（%[3]s）：页面印为“%[4]s”，附带数据为“%[5]s”", "page %[1]d, field %[3]s (%[2]s): printed “%[4]s”, attached data say “%[5]s”"},
	"licence.field-missing":   {"“%[1]s”（%[2]s）：页面上找不到所绑定的文字", "field %[2]s (%[1]s): the text bound to it is not on any page"},
	"licence.field-unbound":   {"“%[1]s”（%[2]s）没有与页面文字绑定", "field %[2]s (%[1]s) is bound to no text of a page"},
	"licence.field-unknown":   {"页面绑定了附带数据中没有的字段 %[1]s", "the page binds a field %[1]s that the attached data do not have"},
	"qr.expired":              {"二维码已过期或尚未生效（%[1]s 至 %[2]s）；请持证人重新出示", "the QR text is out of date (%[1]s to %[2]s); ask the holder for a fresh one"},
	"evidence.files":          {"%[1]d 个文件", "%[1]d files"},
	"evidence.octets":         {"%[1]d 字节", "%[1]d octets"},
	"evidence.entries":        {"列表共 %[1]d 项", "%[1]d in the list"},
	"evidence.fields":         {"%[1]d 个字段", "%[1]d fields"},
	"page":                    {"第 %[1]d 页（%[2]s）", "page %[1]d (%[2]s)"},

	"remark.zip-prefix-bytes":          {"容器之前有多余字节", "bytes before the container"},
	"remark.zip-suffix-bytes":          {"容器之后有多余字节", "bytes after the container"},
	"remark.zip-comment":               {"容器带有注释", "the container has a comment"},
	"remark.zip-gap":                   {"容器内有未使用的字节", "unused bytes in the container"},
	"remark.zip-name-encoding":         {"文件名不是 UTF-8：%[1]s", "a name that is not UTF-8: %[1]s"},
	"remark.zip-backslash":             {"路径使用了反斜杠：%[1]s", "a path with backslashes: %[1]s"},
	"remark.zip-directory-twice":       {"目录项重复：%[1]s", "a directory entry twice: %[1]s"},
	"remark.xml-namespace":             {"非标准命名空间：%[1]s", "non-standard namespace: %[1]s"},
	"remark.xml-bom":                   {"XML 带有字节顺序标记：%[1]s", "byte order mark in XML: %[1]s"},
	"remark.referenced-missing":        {"引用的文件缺失：%[1]s", "referenced file missing: %[1]s"},
	"remark.part-unreadable":           {"部分内容无法读取：%[1]s", "a part cannot be read: %[1]s"},
	"remark.riding-seal-tiling":        {"骑缝章的各片不能按页序拼成一枚完整的印章", "the slices of the riding seal do not make up one seal in page order"},
	"remark.stamp-page-unknown":        {"印章所在页 %[1]s 不存在", "the stamp's page %[1]s does not exist"},
	"remark.stamp-outside-page":        {"印章超出页面：%[1]s", "the stamp lies outside of the page: %[1]s"},
	"remark.signature-type-absent":     {"未写明签名类型，按印章处理", "no type of signature is given; taken as a seal"},
	"remark.relative-signature":        {"签名以另一签名为基础（Relative）", "the signature names a base signature (Relative)"},
	"remark.check-method-form":         {"摘要算法的写法非标准：%[1]s", "non-standard name of the digest algorithm: %[1]s"},
	"remark.check-method-absent":       {"未写明摘要算法，按 SM3 处理", "no digest algorithm is given; taken as SM3"},
	"remark.algorithm-oid":             {"签名算法标识非标准：%[1]s", "non-standard identifier of the signature algorithm: %[1]s"},
	"remark.bare":                      {"签名值是裸 SM2 签名，而不是 GB/T 35275 SignedData", "bare SM2 signature instead of GB/T 35275 SignedData"},
	"remark.digest-content":            {"被签的内容是签名描述文件的摘要", "the signed content is the digest of the description of the signature"},
	"remark.type-and-value":            {"签名类型 %[1]s 与签名值的形式不符", "type %[1]s does not fit the form of the signature value"},
	"remark.signer-is-maker":           {"签章者证书与制章人证书相同", "the signer's certificate is the seal maker's"},
	"remark.certificate":               {"证书形式非标准：%[1]s", "non-standard certificate: %[1]s"},
	"remark.cms":                       {"签名消息形式非标准：%[1]s", "non-standard signed message: %[1]s"},
	"remark.length-not-minimal":        {"ASN.1 长度编码非最短", "ASN.1 lengths are not minimal"},
	"remark.integer-not-minimal":       {"ASN.1 整数编码非最短", "ASN.1 integers are not minimal"},
	"remark.header-version-disagrees":  {"印章头的版本号与结构不符", "the seal's header version disagrees with its structure"},
	"remark.tbs-version-disagrees":     {"签章的版本号与印章不符", "the version of the signature disagrees with that of the seal"},
	"remark.raw-maker-signature":       {"制章人签名是 64 字节裸值", "the maker's signature is 64 raw octets"},
	"remark.raw-signature-value":       {"签名值是 64 字节裸值", "the signature is 64 raw octets"},
	"remark.created-after-valid-start": {"制章时间晚于有效期起始", "the seal was created after the start of its validity"},
	"remark.certificate-list-entry":    {"签章者列表中有不是证书的条目", "an entry of the seal's list is no certificate"},
	"remark.time-info-unreadable":      {"签章时间无法读取", "the time of the signature cannot be read"},
	"remark.ses":                       {"印章结构形式非标准：%[1]s", "non-standard form in the seal structure: %[1]s"},
	"remark.xml-time":                  {"签名描述文件自称的时间：%[1]s", "time claimed in the description of the signature: %[1]s"},
	"remark.timestamp":                 {"时间戳形式非标准：%[1]s", "non-standard time-stamp: %[1]s"},
	"state.suspended":                  {"冻结", "frozen"},
	"state.revoked":                    {"注销", "revoked"},
	"state.replaced":                   {"更换", "replaced"},
	"state.expired":                    {"过期", "expired"},
	"state.cancelled":                  {"注销", "cancelled"},
	"state.withdrawn":                  {"撤销", "withdrawn"},
}

// stepWords are the names of the steps for people.
var stepWords = map[StepName][2]string{
	StepParse:             {"结构", "structure"},
	StepDigests:           {"内容完整性", "content digests"},
	StepCoverage:          {"保护范围", "coverage"},
	StepDataHash:          {"签名描述完整性", "description of the signature"},
	StepSignature:         {"签名值", "signature"},
	StepSignerCertificate: {"签名人证书", "signer's certificate"},
	StepSignerRevocation:  {"签名人证书吊销状态", "signer's revocation status"},
	StepSealSignature:     {"制章人签名", "seal maker's signature"},
	StepSealMaker:         {"制章人证书", "seal maker's certificate"},
	StepSignerInSeal:      {"印章所列的签名人", "signer in the seal's list"},
	StepSealValidity:      {"印章有效期", "validity of the seal"},
	StepSealStatus:        {"印章状态", "state of the seal"},
	StepTimeStamp:         {"时间戳", "time-stamp"},
	StepSigningTime:       {"签署时间", "signing time"},
	StepLogProof:          {"日志证明", "proof from the log"},
	StepLicenceIdentifier: {"证照标识", "licence identifier"},
	StepLicenceStatus:     {"证照状态", "state of the licence"},
	StepLicenceData:       {"印出内容与数据比对", "printed text equals data"},
}

// Title is the name of a step for people.
func Title(name StepName, lang string) string {
	w := stepWords[name]
	if lang == "zh" {
		return w[0]
	}
	return w[1]
}

// text gives the words of a code in the language of the options. Codes of package certs have theirs there.
func (o *Options) text(code string, args ...any) string {
	w, ok := words[code]
	if !ok {
		zh, en := certs.CodeText(code)
		w = [2]string{zh, en}
	}
	format := w[1]
	if o.zh() {
		format = w[0]
	}
	if format == "" {
		return code
	}
	if !strings.Contains(format, "%[") { // words without a place for arguments, as those of package certs
		return format
	}
	return fmt.Sprintf(format, args...)
}
