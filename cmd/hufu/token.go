package main

import (
	"fmt"

	"hufu/internal/fault"
)

// tokenCommand logs in as a browser without scripts would and prints the access token, for curl and scripts.
type tokenCommand struct {
	Server  string `help:"Address of the server." default:"http://localhost:8480"`
	Account string `required:"" help:"Log-in name." placeholder:"NAME"`
	As      string `help:"Capacity to act in: person, entity or official." enum:"person,entity,official" default:"person"`
	Client  string `help:"Public client with redirect URI http://127.0.0.1:9/callback and scope api." default:"hufu-cli"`
}

var errTokenPassword = fault.New(fault.Invalid, "token.password",
	"Give the password at the terminal, or as one line on standard input.", "请在终端输入密码，或从标准输入给出一行。")

func (c *tokenCommand) Run(con *console) error {
	password, err := secretLine(con, "password 密码: ")
	if err != nil {
		return err
	}
	if len(password) == 0 {
		return errTokenPassword
	}
	w, err := newWalker(c.Server)
	if err != nil {
		return err
	}
	t, err := w.login(con.ctx, c.Client, c.Account, string(password), c.As)
	if err != nil {
		return err
	}
	fmt.Fprintln(con.out, t.Access)
	return nil
}
