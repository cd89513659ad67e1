package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"strings"

	"hufu/internal/fault"
)

// remote is a running server that a command works through: its address, and the token of who asks.
type remote struct {
	Server    string `help:"Address of the server." default:"http://localhost:8480"`
	TokenFile string `help:"File with the access token that hufu token printed; else the variable HUFU_TOKEN." type:"path" placeholder:"FILE"`
}

var (
	errRemoteToken = fault.New(fault.Unauthenticated, "remote.token",
		"Get an access token with `hufu token` and put it into the variable HUFU_TOKEN, or into a file that --token-file names.",
		"请先用 hufu token 取得访问令牌，放入环境变量 HUFU_TOKEN 或 --token-file 指定的文件。")
	errRemote = fault.New(fault.Unavailable, "remote.answer",
		"The server did not answer as this program expects. Check --server, and that both are of the same version.",
		"服务的应答不符合预期。请检查 --server 地址以及双方版本是否一致。")
)

// session is a remote with its token read.
type session struct {
	*walker
	token string
}

func (r remote) open() (*session, error) {
	token := os.Getenv("HUFU_TOKEN")
	if r.TokenFile != "" {
		text, err := os.ReadFile(r.TokenFile)
		if err != nil {
			return nil, errRemoteToken.With("%w", err)
		}
		token = string(text)
	}
	if token = strings.TrimSpace(token); token == "" {
		return nil, errRemoteToken
	}
	w, err := newWalker(r.Server)
	return &session{w, token}, err
}

// ask sends a call and reads the answer into out: JSON, or raw octets for *[]byte. What the server refuses is told in its own
// words, with the fields that it found wrong.
func (s *session) ask(ctx context.Context, method, path string, in, out any) error {
	c := sending{method: method, path: path}
	if in != nil {
		var err error
		if c.body, err = json.Marshal(in); err != nil {
			return err
		}
		c.kind = "application/json"
	}
	return s.exchange(ctx, c, out)
}

// sending is a call with a body of whatever kind; header is more of its header, in pairs.
type sending struct {
	method, path, kind string
	body               []byte
	header             []string
}

// exchange is ask for other bodies than JSON.
func (s *session) exchange(ctx context.Context, c sending, out any) error {
	headers := append([]string{"Accept-Language", "en"}, c.header...)
	if s.token != "" { // some calls are anyone's
		headers = append(headers, "Authorization", "Bearer "+s.token)
	}
	a, err := s.send(ctx, c.method, s.base+c.path, c.kind, c.body, headers...)
	if err != nil {
		return errRemote.With("%w", err)
	}
	if a.status/100 != 2 {
		return refusal(a, c.method+" "+c.path)
	}
	if raw, ok := out.(*[]byte); ok {
		*raw = a.body
		return nil
	}
	if out == nil || a.status == http.StatusNoContent {
		return nil
	}
	if err := json.Unmarshal(a.body, out); err != nil {
		return errRemote.With("%s %s: %w", c.method, c.path, err)
	}
	return nil
}

// refusal makes an error of what the server said (RFC 9457).
func refusal(a answer, call string) error {
	var said struct {
		Code, Reference, ZH, EN string
		Errors                  []struct{ Location, Message string }
	}
	if json.Unmarshal(a.body, &said) != nil || said.EN == "" {
		return errRemote.With("%s: %d %s", call, a.status, firstLine(a.body))
	}
	if a.status >= http.StatusInternalServerError {
		return fault.New(fault.Unavailable, said.Code, said.EN, said.ZH).With("reference number %s", said.Reference)
	}
	refused := fault.New(fault.Denied, said.Code, said.EN, said.ZH)
	if len(said.Errors) == 0 {
		return refused
	}
	var wrong []string
	for _, e := range said.Errors {
		wrong = append(wrong, e.Location+": "+e.Message)
	}
	return refused.With("%s", strings.Join(wrong, "; "))
}
