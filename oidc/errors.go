package oidc

import "hufu/internal/fault"

// The refusals of this package that a person or an administrator sees. Clients get OAuth error codes instead.
var (
	ErrNotFound = fault.New(fault.NotFound, "oidc.not-found",
		"There is no such entry. Check the id.", "没有这条记录，请核对编号。")
	ErrClient = fault.New(fault.Invalid, "oidc.client",
		"The registration of this application is not complete or not valid. Correct the field named.", "应用登记信息不完整或不正确，请按提示修改。")
	ErrClientTaken = fault.New(fault.Conflict, "oidc.client-taken",
		"An application with this id exists already. Choose another id.", "该应用标识已被使用，请更换。")
	ErrNoSecret = fault.New(fault.Conflict, "oidc.no-secret",
		"This application does not log in by a secret. Register it with a secret method first.", "该应用不使用密钥认证，请先更改其认证方式。")
	ErrInteraction = fault.New(fault.NotFound, "oidc.interaction",
		"This log-in has expired, was finished already or was begun in another browser. Go back to the application and start again.",
		"本次登录已过期、已完成，或是在其他浏览器中发起的。请返回应用重新登录。")
	ErrCapacity = fault.New(fault.Denied, "oidc.capacity",
		"You may not act in this capacity, or not any more. Choose another one.", "您不能（或已不能）以该身份办理，请重新选择。")
	ErrScopes = fault.New(fault.Invalid, "oidc.scopes",
		"More was agreed to than the application asked for. Load the page again.", "授权内容超出应用申请的范围，请刷新页面后重试。")
	ErrBadRequest = fault.New(fault.Invalid, "oidc.request",
		"The application sent a log-in request that is not valid, so you were not sent back to it. Tell the application's operator.",
		"应用发来的登录请求无效，因此未跳转回该应用。请联系该应用的运营方。")
	ErrUnknownClient = fault.New(fault.Invalid, "oidc.unknown-client",
		"The application that sent you here is not registered or has been disabled. Tell the application's operator.",
		"引导您来此的应用未登记或已停用。请联系该应用的运营方。")
	ErrRedirectURI = fault.New(fault.Invalid, "oidc.redirect-uri",
		"The application wants you to be sent to an address that is not registered for it. You were not sent there. Tell the application's operator.",
		"应用要求跳转的地址未经登记，因此未跳转。请联系该应用的运营方。")
	ErrToken = fault.New(fault.Unauthenticated, "oidc.token",
		"The access token is not valid or no longer valid. Get a new one.", "访问令牌无效或已失效，请重新获取。")
	ErrScope = fault.New(fault.Denied, "oidc.scope",
		"The access token does not allow this. Ask for the scope that this needs.", "访问令牌的授权范围不足，请申请相应的范围。")
	ErrUnavailable = fault.New(fault.Unavailable, "oidc.unavailable",
		"Log-in is not available at the moment. Try again in a minute.", "登录服务暂时不可用，请一分钟后再试。")
	ErrConfig = fault.New(fault.Invalid, "oidc.config",
		"The configuration of the OpenID provider is not valid. Correct the field named.", "OpenID 服务配置不正确，请按提示修改。")
)
