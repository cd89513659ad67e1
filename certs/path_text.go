package certs

// codeTexts are the words for the codes of Step, for reports; {Chinese, English}.
var codeTexts = map[string][2]string{
	"path.no-root":      {"没有找到通向受信任根证书的证书链；请更新信任包或补充中间证书", "no chain to a trusted root; update the trust bundle or add the intermediate certificates"},
	"path.self-signed":  {"证书是自签名的，且不在受信任的根证书之列", "the certificate is self-signed and not among the trusted roots"},
	"path.broken":       {"签发者已知，但其公钥不能验证这张证书的签名", "the issuer is known, but its key does not verify this certificate's signature"},
	"path.too-long":     {"证书链过长", "the chain is longer than allowed"},
	"path.budget":       {"候选证书过多，已停止查找证书链", "too many candidate certificates; the search was given up"},
	"signature.invalid": {"证书签名无效：证书被改动，或不是由所称的签发者签发", "the certificate's signature is wrong: it was changed, or the named issuer did not issue it"},
	"signature.wrong-id": {
		"证书的SM2签名使用了空的用户标识，应为1234567812345678",
		"the SM2 signature was made with the empty user id instead of 1234567812345678",
	},
	"signature.weak":               {"证书使用了不再可信的算法或密钥长度", "the certificate relies on an algorithm or key size that is no longer trusted"},
	"signature.unsupported":        {"证书使用了本程序不支持的签名算法", "the certificate is signed with an algorithm that is not supported"},
	"validity.not-yet":             {"证书在该时间尚未生效", "the certificate was not yet valid at that time"},
	"validity.ended":               {"证书在该时间已过期", "the certificate had ended at that time"},
	"constraints.unknown-critical": {"证书含有无法识别的关键扩展", "the certificate has a critical extension that is not understood"},
	"constraints.not-ca":           {"签发者的证书不是CA证书", "the issuer's certificate is not a CA certificate"},
	"constraints.no-cert-sign":     {"签发者的密钥用法不允许签发证书", "the issuer's key usage does not allow it to sign certificates"},
	"constraints.path-length":      {"证书链超过了上级CA允许的长度", "the chain is longer than a CA in it allows"},
	"names.excluded":               {"名称属于上级CA禁止的范围", "a name lies in a range that a CA of the chain excludes"},
	"names.not-permitted":          {"名称不在上级CA允许的范围内", "a name lies outside of the range that a CA of the chain permits"},
	"names.unsupported":            {"上级CA对该类名称的限制无法检查", "a CA of the chain constrains a form of name that cannot be checked"},
	"names.too-many":               {"名称和名称限制过多，无法检查", "too many names and name constraints to check"},
	"policy.none-valid":            {"证书链上没有有效的证书策略", "no certificate policy is valid for the chain"},
	"policy.required":              {"证书不符合信任清单对该 CA 所要求的证书策略", "the certificate has none of the policies that the trust list requires of this CA"},
	"trust.distrusted":             {"签发时间晚于该 CA 停止受信任的日期", "the certificate was issued after the date from which its CA is no longer trusted"},
	"trust.unproven":               {"该 CA 已停止受信任，而证书早于停止日期使用的时间没有得到证明", "the CA is no longer trusted, and nothing proves the time at which the certificate was used"},
	"trust.unlisted":               {"证书链中有未列入信任清单的 CA", "a CA of the chain does not stand in the trust list"},
	"policy.any-mapped":            {"CA证书对“任意策略”作了映射", "a CA certificate maps any-policy"},
	"usage.not-ca":                 {"证书不是CA证书", "the certificate is not a CA certificate"},
	"usage.key":                    {"密钥用法不允许这种用途", "the key usage does not allow this purpose"},
	"usage.extended":               {"扩展密钥用法不允许这种用途", "the extended key usage does not allow this purpose"},
	"usage.not-alone":              {"扩展密钥用法必须是关键扩展，且只含这一种用途", "the extended key usage must be critical and name this purpose alone"},
	"usage.ca-extended":            {"上级CA的扩展密钥用法不含这种用途", "the extended key usage of a CA in the chain does not include this purpose"},
	"revocation.not-asked":         {"未检查吊销状态", "revocation was not checked"},
	"revocation.no-check":          {"OCSP应答者证书免于吊销检查", "an OCSP responder's certificate that is exempt from revocation checks"},
	"revocation.no-issuer":         {"签发者未知，无法确定吊销状态", "the issuer is not known, so the revocation status cannot be told"},
	"revocation.no-crl":            {"没有覆盖该证书的吊销列表", "no revocation list covers the certificate"},
	"revocation.crl-signature":     {"吊销列表的签名无效", "the signature of the revocation list is wrong"},
	"revocation.stale":             {"吊销信息已过期；请取得新的吊销列表", "the revocation information is out of date; get a new list"},
	"revocation.after-end":         {"吊销列表产生于证书过期之后，不能说明证书是否曾被吊销", "the revocation list was made after the certificate had ended and cannot tell whether it was revoked"},
	"revocation.unknown":           {"吊销状态未知", "the revocation status is not known"},
	"revocation.revoked":           {"证书在该时间已被吊销", "the certificate was revoked at that time"},
	"revocation.on-hold":           {"证书在该时间处于挂起状态", "the certificate was on hold at that time"},
	"revocation.later":             {"证书在该时间之后被吊销", "the certificate was revoked after that time"},
}

// CodeText returns the words for a code of Step, in Chinese and in English; empty for a code that is not from here.
func CodeText(code string) (zh, en string) {
	t := codeTexts[code]
	return t[0], t[1]
}
