package web

import (
	"net/http"

	"hufu/audit"
	"hufu/identity/login"
	"hufu/internal/fault"
)

// fillActivity shows which acts the record holds under the person's own key; the sealed parts stay closed.
func (s *Site) fillActivity(r *http.Request, session *login.Session, v *accountView) error {
	if s.Activity == nil {
		return nil
	}
	v.HasActivity = true
	page, err := s.Activity.Search(r.Context(), session.Actor(), audit.Query{Subject: session.Subject, Limit: recentActivity})
	for _, e := range page.Entries {
		v.Activity = append(v.Activity, v.activity(e))
	}
	return err
}

var actWords = map[string]fault.Text{
	"account.open":           {ZH: "开通账号", EN: "Account opened"},
	"account.password":       {ZH: "修改密码", EN: "Password changed"},
	"application.submit":     {ZH: "申请证书", EN: "Certificate applied for"},
	"application.approve":    {ZH: "证书申请通过", EN: "Application approved"},
	"application.reject":     {ZH: "证书申请驳回", EN: "Application rejected"},
	"application.draft":      {ZH: "保存证书申请草稿", EN: "Application drafted"},
	"application.change":     {ZH: "修改证书申请草稿", EN: "Draft of an application changed"},
	"application.evidence":   {ZH: "附加证明材料", EN: "Evidence attached to an application"},
	"application.return":     {ZH: "证书申请退回补正", EN: "Application sent back for correction"},
	"application.withdraw":   {ZH: "撤回证书申请", EN: "Application withdrawn"},
	"application.deliver":    {ZH: "领取证书", EN: "Certificates fetched"},
	"batch.submit":           {ZH: "上传批量申请", EN: "Batch of applications sent"},
	"batch.correct":          {ZH: "更正批量申请", EN: "Rows of a batch corrected"},
	"batch.retry":            {ZH: "重新处理批量申请", EN: "Rows of a batch run again"},
	"batch.cancel":           {ZH: "取消批量申请", EN: "Rows of a batch cancelled"},
	"batch.approve":          {ZH: "批量申请通过", EN: "Batch approved"},
	"batch.reject":           {ZH: "批量申请驳回", EN: "Batch rejected"},
	"batch.return":           {ZH: "批量申请退回补正", EN: "Batch sent back for correction"},
	"certificate.reserve":    {ZH: "准备签发证书", EN: "Certificate prepared"},
	"certificate.issue":      {ZH: "签发证书", EN: "Certificate issued"},
	"certificate.revoke":     {ZH: "吊销证书", EN: "Certificate revoked"},
	"certificate.adopt":      {ZH: "补登丢失记录的证书", EN: "Certificate that the record had lost taken in"},
	"certificate.suspend":    {ZH: "挂起证书", EN: "Certificate suspended"},
	"certificate.resume":     {ZH: "恢复证书", EN: "Certificate resumed"},
	"certificate.expiring":   {ZH: "证书即将到期", EN: "Certificate nears its end"},
	"key.block":              {ZH: "永久禁用密钥", EN: "Key blocked for ever"},
	"reminder.refuse":        {ZH: "设置到期提醒", EN: "Reminders switched on or off"},
	"encryption-key.provide": {ZH: "提供加密密钥", EN: "Encryption key provided"},
	"consent.grant":          {ZH: "同意向应用提供信息", EN: "Consent given to an application"},
	"consent.refuse":         {ZH: "拒绝向应用提供信息", EN: "Consent refused"},
	"consent.withdraw":       {ZH: "撤回授权", EN: "Consent withdrawn"},
	"grant.open":             {ZH: "登录应用", EN: "Logged in to an application"},
	"grant.revoke":           {ZH: "应用登录结束", EN: "Log-in to an application ended"},
	"identity.release":       {ZH: "向应用提供证件号码", EN: "Identity number released to an application"},
	"session.open":           {ZH: "登录", EN: "Logged in"},
	"session.end":            {ZH: "退出登录", EN: "Logged out"},
	"session.refuse":         {ZH: "登录失败", EN: "Log-in refused"},
	"subject.register":       {ZH: "身份登记", EN: "Identity registered"},
	"subject.evidence":       {ZH: "补充身份核验", EN: "Evidence added"},
	"subject.contact":        {ZH: "变更联系方式", EN: "Contact changed"},
	"subject.legal-rep":      {ZH: "登记为法定代表人", EN: "Registered as legal representative"},
	"post.appoint":           {ZH: "任职", EN: "Appointed to a post"},
	"post.end":               {ZH: "任职结束", EN: "Post ended"},
	"post.roles":             {ZH: "变更职务权限", EN: "Roles of a post changed"},
	"token.issue":            {ZH: "应用取得令牌", EN: "Tokens issued to an application"},
	"seal.use":               {ZH: "用章", EN: "Seal used"},
	"licence.issue":          {ZH: "签发证照", EN: "Licence issued"},
}

func (f frame) activity(e audit.Found) activityView {
	if t, ok := actWords[e.Action]; ok {
		return activityView{At: f.Time(e.At), What: f.Say(t)}
	}
	return activityView{At: f.Time(e.At), What: f.T("其他操作", "Other act"), Code: e.Action}
}
