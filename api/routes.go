package api

import "hufu/internal/fault"

// nouns is the table of contents: method and path, who may, what it does, handler. "Who may" is for the reader; the
// domain call decides. What begins with anyone needs no token, and takes one that is sent.
func (a *API) nouns() []noun {
	return []noun{
		{"profiles", text("证书模板", "Certificate profiles"), a.CA != nil, a.profileRoutes()},
		{"applications", text("证书申请", "Applications"), a.CA != nil, a.applicationRoutes()},
		{"batches", text("批量申请", "Batches of applications"), a.CA != nil, a.batchRoutes()},
		{"authorities", text("CA 与交叉认证", "Authorities and cross certificates"), a.CA != nil, a.authorityRoutes()},
		{"trust", text("信任清单", "The trust list"), a.CA != nil, a.trustRoutes()},
		{"external", text("外部 CA", "CAs of others that issue for us"), a.CA != nil, a.externalRoutes()},
		{"certificates", text("证书", "Certificates"), a.CA != nil, a.certificateRoutes()},
		{"certificates", text("证书", "Certificates"), a.CA != nil, a.enrolRoutes()},
		{"certificates", text("证书", "Certificates"), a.CA != nil && a.Audit != nil, []route{
			{"GET /api/v1/certificates/{serial}/proof", anyone, text("获取证书的日志证明", "Get the log's proofs about a certificate"), on(a.certificateProof)},
		}},
		{"recoveries", text("加密密钥与恢复", "Encryption keys and their recovery"), a.CA != nil && a.Centre != nil, a.recoveryRoutes()},
		{"seals", text("电子印章", "Seals"), a.Seals != nil, []route{
			{"GET /api/v1/seal-styles", anyone, text("列出印章规格", "List the forms of round seals"), on(a.listStyles)},
			{"POST /api/v1/seals", "seal officer, whoever acts for the owner", text("申请制章", "Apply for a seal"), on(a.applySeal, created)},
			{"GET /api/v1/seals", "seal officer, whoever acts for the owner", text("列出印章", "List seals by code"), on(a.listSeals)},
			{"GET /api/v1/seals/{code}", "seal officer, whoever acts for the owner", text("查看印章", "Get a seal"), on(a.getSeal)},
			{"POST /api/v1/seals/{code}/decision", "seal officer, not the maker", text("审核制章申请", "Approve or reject a seal"), on(a.decideSeal)},
			{"POST /api/v1/seals/{code}/make", "whoever may stamp for the owner, with the owner's PIN", text("制章：印章密钥自始由所有者独占控制", "Make an approved seal under the owner's PIN; repeated, it goes on where it stopped"), on(a.makeSeal, costs(5))},
			{"POST /api/v1/seals/{code}/freeze", "seal officer, whoever may stamp with it", text("冻结印章", "Freeze a seal"), on(a.freezeSeal)},
			{"POST /api/v1/seals/{code}/resume", "seal officer", text("解冻印章", "Let a frozen seal be used again"), on(a.resumeSeal)},
			{"POST /api/v1/seals/{code}/revoke", "seal officer, who represents the owner", text("注销印章", "Revoke a seal and its certificate, for ever"), on(a.revokeSeal)},
			{"GET /api/v1/seals/{code}/picture.svg", "seal officer, whoever acts for the owner", text("下载印模（SVG）", "Get the picture as SVG"), on(a.sealSVG, gives(svgType))},
			{"GET /api/v1/seals/{code}/picture.png", "seal officer, whoever acts for the owner", text("下载印模（PNG）", "Get the picture as PNG"), on(a.sealPNG, gives(pngType))},
			{"GET /api/v1/seals/{code}/seal.esl", "seal officer, whoever acts for the owner", text("下载电子印章数据", "Get the seal itself (GB/T 38540, DER)"), on(a.sealESL, gives(eslType))},
			{"GET /api/v1/seals/{code}/uses", "seal officer, whoever acts for the owner", text("列出用印记录", "List what the seal stamped, newest first"), on(a.listUses)},
			{"GET /api/v1/seals/{code}/activations", "seal officer, whoever acts for the owner", text("列出启用授权及剩余次数", "List the standing activations, newest first, with what is left of each"), on(a.listActivations)},
			{"POST /api/v1/seals/{code}/activations", "whoever may stamp for the owner, with the owner's PIN", text("启用授权：限定文件种类、次数和期限", "Let the seal stamp without a PIN, within kinds of documents, count and time"), on(a.activate, created, costs(5))},
			{"DELETE /api/v1/seals/{code}/activations/{id}", "whoever may stamp for the owner, seal officer", text("撤回启用授权，立即失效", "Withdraw a standing activation; it ends at once"), on(a.withdrawActivation)},
			{"POST /api/v1/seals/{code}/challenges", "whoever may stamp for the owner", text("取得挑战，由所有者的 SM2 密钥应答", "Ask what the owner's SM2 key has to sign for one use of the seal"), on(a.challengeSeal, costs(5), large(textBody))},
			{"PUT /api/v1/seals/{code}/pin", "whoever may stamp for the owner, with the old PIN", text("修改印章口令；所有启用授权随之终止", "Change the seal's PIN; all standing activations end. Without an old PIN: the first one of a seal that has none"), on(a.setSealPIN, costs(5))},
			{"POST /api/v1/seals/{code}/stamps", "whoever acts for the owner, in office with a role that stamps; with the owner's PIN unless an activation covers it", text("用印：在 OFD 文件上加盖印章", "Stamp an OFD document"), on(a.stamp, costs(5), offers[stampedView](ofdType), large(textBody))},
		}},
		{"seals", text("电子印章", "Seals"), a.Seals != nil && a.Audit != nil, []route{
			{"GET /api/v1/seals/{code}/proof", "seal officer, whoever acts for the owner", text("获取印章的日志证明", "Get the log's proofs about a seal and its uses"), on(a.sealProof)},
		}},
		{"licences", text("电子证照", "Licences"), a.Licences != nil, a.licenceRoutes()},
		{"licences", text("电子证照", "Licences"), a.Licences != nil && a.Audit != nil, []route{
			{"GET /api/v1/licences/{id}/proof", "the holder, licence officer of the issuer", text("获取证照用印的日志证明", "Get the log's proof of a licence's sealing"), on(a.licenceProof)},
		}},
		{"subjects", text("主体与任职", "Subjects and posts"), a.People != nil, a.subjectRoutes()},
		{"accounts", text("账号与会话", "Accounts and sessions"), a.Logins != nil, []route{
			{"POST /api/v1/accounts", "registrar; for persons with roles super administrator", text("开通账号", "Open the account of a person"), on(a.openAccount, created)},
			{"GET /api/v1/accounts/{id}", "super administrator, business administrator", text("查看账号", "Get the account of a person (subject id)"), on(a.getAccount)},
			{"PUT /api/v1/accounts/{id}/password", "super administrator", text("重置密码", "Give a person a new first password"), on(a.resetPassword)},
			{"GET /api/v1/accounts/{id}/sessions", "super administrator, business administrator", text("列出登录会话", "List the log-in sessions of a person"), on(a.listSessions)},
			{"DELETE /api/v1/accounts/{id}/sessions", "super administrator, business administrator", text("结束全部登录会话", "End all log-in sessions of a person"), on(a.endSessions)},
			{"DELETE /api/v1/sessions/{id}", "super administrator, business administrator", text("结束登录会话", "End a log-in session"), on(a.endSession)},
		}},
		{"clients", text("应用", "Applications that log people in"), a.Clients != nil, []route{
			{"POST /api/v1/clients", "business administrator", text("登记应用", "Register an application; its secret is shown once"), on(a.registerClient, created)},
			{"GET /api/v1/clients", "business administrator, audit administrator", text("列出应用", "List applications by id"), on(a.listClients)},
			{"GET /api/v1/clients/{id}", "business administrator, audit administrator", text("查看应用", "Get an application"), on(a.getClient)},
			{"PUT /api/v1/clients/{id}", "business administrator", text("修改应用", "Replace what is registered of an application"), on(a.changeClient)},
			{"POST /api/v1/clients/{id}/secret", "business administrator", text("更换应用密钥", "Make a new secret; it is shown once"), on(a.rotateSecret)},
			{"POST /api/v1/clients/{id}/disable", "business administrator", text("停用应用", "Stop an application; its grants end at once"), on(a.disableClient)},
			{"POST /api/v1/clients/{id}/enable", "business administrator", text("启用应用", "Let a stopped application go on"), on(a.enableClient)},
			{"GET /api/v1/me/grants", "whoever is logged in", text("列出本人授权的应用", "List what the own person let applications do"), on(a.listGrants)},
			{"DELETE /api/v1/me/grants/{id}", "whoever is logged in", text("取消对应用的授权", "Take back what was granted to an application (client id)"), on(a.withdraw)},
		}},
		{"keys", text("密钥", "Keys"), a.Keys != nil, []route{
			{"GET /api/v1/keys", "super administrator, business administrator, audit administrator", text("列出密钥及其版本", "List keys and their versions"), on(a.listKeys)},
			{"POST /api/v1/keys", "super administrator", text("生成密码设备中的密钥", "Make a key in the device; repeated, it returns the same"), on(a.makeKey, created, costs(5))},
			{"GET /api/v1/keys/rotations", "super administrator, business administrator, audit administrator", text("列出密钥轮换及进度", "List rotations and how far they are, newest first"), on(a.listRotations)},
			{"GET /api/v1/keys/{key}/rotation", "super administrator", text("预览密钥轮换", "Tell how a key would be rotated; nothing is changed"), on(a.planRotation)},
			{"POST /api/v1/keys/{key}/rotation", "super administrator", text("开始轮换密钥", "Begin to rotate a key; it goes on by itself"), on(a.beginRotation, created, costs(10))},
			{"GET /api/v1/keys/{key}/public", "super administrator, business administrator, audit administrator", text("导出公钥（PEM）", "Get the public key as PEM"), on(a.exportPublic, gives(pemFile))},
			{"DELETE /api/v1/keys/{key}/versions/{version}", "two super administrators", text("销毁密钥的停用版本（不可恢复，须两人）", "Destroy a retired version for ever; where there is more than one super administrator, two must ask for it within an hour"), on(a.destroyKey)},
		}},
		{"audit", text("审计", "The record"), a.Audit != nil, []route{
			{"GET /api/v1/audit/entries", "audit administrator; anyone the own ones. Scope audit", text("查询审计记录", "Search the record, newest first"), on(a.searchEntries)},
			{"GET /api/v1/audit/entries/{id}/proof", anyone, text("获取审计记录的日志证明", "Get the log's proof of an entry"), on(a.entryProof)},
			{"POST /api/v1/subjects/{id}/erasure", "super administrator", text("销毁主体的个人信息密钥（不可恢复）", "Destroy the key of a subject's personal data in the record, for ever"), on(a.erase)},
		}},
		{"enrolment", text("设备注册", "Enrolment of devices"), a.Enrolment != nil, a.enrolmentRoutes()},
		{"subscriptions", text("事件订阅", "Subscriptions to events"), a.Webhooks != nil, a.webhookRoutes()},
		{"verifications", text("验证", "Verification"), a.Verifier != nil, []route{
			{"POST /api/v1/verifications", anyone, text("验证 OFD 文件、印章、签名或证照二维码", "Verify an OFD document, seal, signature or licence QR text"), on(a.verify, costs(10), takes(fileBody, "application/octet-stream", "multipart/form-data"))},
		}},
	}
}

func (a *API) licenceRoutes() []route {
	const officer, either = "licence officer of the issuer", "the holder, licence officer of the issuer"
	return []route{
		{"GET /api/v1/licence-types", anyone, text("列出证照类型", "List the catalogue of licences"), on(a.listTypes)},
		{"POST /api/v1/licences", officer, text("签发证照", "Issue and seal a licence"), on(a.issueLicence, created, costs(5))},
		{"POST /api/v1/licences/draft", officer, text("预览待签发的证照", "Show what would be issued, without a seal; nothing is stored"), on(a.draftLicence, costs(2), gives(svgType))},
		{"GET /api/v1/licences", "whoever is logged in", text("列出本人或所代表单位的证照", "List the own licences, newest first"), on(a.listLicences)},
		{"POST /api/v1/licences/search", officer, text("查询本单位签发的证照", "Search what the own organisation issued"), on(a.searchLicences)},
		{"GET /api/v1/licences/{id}", either, text("查看证照", "Get a licence"), on(a.getLicence)},
		{"GET /api/v1/licences/{id}/document", either, text("下载证照文件（OFD）", "Get the sealed document (OFD)"), on(a.licenceDocument, gives(ofdType))},
		{"GET /api/v1/licences/{id}/preview.svg", either, text("预览证照", "Get a picture of the document"), on(a.licencePreview, costs(2), gives(svgType))},
		{"POST /api/v1/licences/{id}/qr", "the holder", text("亮证：生成离线验证二维码文本", "Show a licence: make a QR text that is checked without a network"), on(a.showLicence)},
		{"POST /api/v1/licences/{id}/versions", officer, text("变更证照", "Make the next version with other data"), on(a.changeLicence, created, costs(5))},
		{"POST /api/v1/licences/{id}/suspend", officer, text("暂扣证照", "Suspend a licence"), on(because(a.Licences.Suspend))},
		{"POST /api/v1/licences/{id}/resume", officer, text("恢复证照", "Put a suspended licence in force again"), on(because(a.Licences.Resume))},
		{"POST /api/v1/licences/{id}/cancel", officer, text("注销证照", "Cancel a licence whose reason has gone"), on(because(a.Licences.Cancel))},
		{"POST /api/v1/licences/{id}/revoke", officer, text("吊销证照", "Revoke a licence as a penalty"), on(because(a.Licences.Revoke))},
		{"POST /api/v1/licences/{id}/withdraw", officer, text("撤销证照", "Withdraw a licence that should never have been issued"), on(because(a.Licences.Withdraw))},
	}
}

func (a *API) subjectRoutes() []route {
	const officers = "the subject, whoever acts for it, officers"
	return []route{
		{"GET /api/v1/me", "whoever is logged in", text("查看当前身份", "Who the access token stands for, and how that person may act"), on(a.me)},
		{"POST /api/v1/persons", "registrar", text("登记自然人", "Register a natural person"), on(a.registerPerson, created)},
		{"POST /api/v1/entities", "registrar", text("登记法人", "Register a legal entity"), on(a.registerEntity, created)},
		{"PUT /api/v1/entities/{id}/legal-representative", "registrar", text("登记法定代表人", "Set the legal representative"), on(a.setLegalRep)},
		{"POST /api/v1/subjects/search", "officers", text("查询主体", "Search subjects, newest first"), on(a.searchSubjects)},
		{"GET /api/v1/subjects/{id}", officers, text("查看主体", "Get a subject; numbers are masked"), on(a.getSubject)},
		{"PUT /api/v1/subjects/{id}/contact", "registrar", text("修改姓名和电话", "Set name and phone"), on(a.setContact)},
		{"PUT /api/v1/subjects/{id}/email", "registrar", text("设置接收提醒的电子邮箱", "Set where reminders go"), on(a.setEmail)},
		{"POST /api/v1/subjects/{id}/identifiers", "registrar", text("添加证件", "Put a further identifier in force"), on(a.addIdentifier)},
		{"POST /api/v1/subjects/{id}/identifiers/end", "registrar", text("停用证件", "End an identifier"), on(a.endIdentifier)},
		{"GET /api/v1/subjects/{id}/evidence", "the subject, registrar, approver", text("列出核验记录", "List the evidence about a subject"), on(a.listEvidence)},
		{"POST /api/v1/subjects/{id}/evidence", "registrar, not about oneself", text("添加核验记录", "Add evidence about a subject"), on(a.addEvidence)},
		{"POST /api/v1/subjects/{id}/freeze", "registrar", text("冻结主体", "Stop a subject from acting"), on(because(a.People.Freeze))},
		{"POST /api/v1/subjects/{id}/resume", "registrar", text("解除冻结", "End a freeze"), on(because(a.People.Resume))},
		{"POST /api/v1/subjects/{id}/close", "registrar", text("注销主体", "Close a subject for good"), on(because(a.People.Close))},
		{"POST /api/v1/posts", "registrar; with roles super administrator", text("登记任职", "Give a person a post in a public body"), on(a.appoint, created)},
		{"PUT /api/v1/posts/{id}/roles", "super administrator, not for oneself", text("设置任职角色", "Replace the roles of a post"), on(a.setRoles)},
		{"DELETE /api/v1/posts/{id}", "registrar", text("结束任职", "End a post"), on(a.endPost)},
	}
}

func text(zh, en string) fault.Text { return fault.Text{ZH: zh, EN: en} }
