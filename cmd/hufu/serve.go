package main

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
)

// place is where a server's configuration and data are; commands that open one share it.
type place struct {
	Config string `help:"Configuration file (YAML)." type:"path" placeholder:"FILE"`
	Data   string `help:"Data folder (default ./hufu-data)." type:"path" placeholder:"DIR"`
}

type serveCommand struct {
	place
	Demo     bool   `help:"Fill with a sample province and show the guided story at /. For trying only."`
	Listen   string `help:"Address to listen on (default localhost:8480)." placeholder:"HOST:PORT"`
	Roles    string `help:"Parts to serve: all (default), kmc, or all-but-kmc where kmc.url says where the key management centre is." placeholder:"LIST"`
	Insecure bool   `help:"Serve plain HTTP on an address that is not loopback, behind a proxy that ends TLS."`
	Verbose  bool   `help:"Log more." xor:"log"`
	Quiet    bool   `help:"Log warnings and errors only." xor:"log"`
}

func (c *serveCommand) config() (Config, error) {
	cfg, err := loadConfig(c.Config, c.Data)
	if err != nil && c.Listen == "" && !c.Insecure {
		return cfg, err
	}
	if c.Listen != "" {
		if cfg.URL == "http://"+cfg.Listen || cfg.URL == "https://"+cfg.Listen {
			cfg.URL = "" // it followed from the address
		}
		cfg.Listen = c.Listen
	}
	cfg.Insecure = cfg.Insecure || c.Insecure
	cfg.fill()
	return cfg, cfg.check()
}

func (c *serveCommand) Run(con *console) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	parts, err := rolesOf(c.Roles, cfg)
	if err != nil {
		return err
	}
	level := slog.LevelInfo
	if c.Verbose {
		level = slog.LevelDebug
	}
	if c.Quiet {
		level = slog.LevelWarn
	}
	tuneMemory()
	listener, err := listen(cfg)
	if err != nil {
		return err
	}
	defer listener.Close()
	if cfg.TLS.Certificate == "" && c.Listen != "" && c.Config == "" {
		cfg.URL = "http://" + named(cfg.Listen, listener.Addr())
	}
	if c.Demo {
		fmt.Fprintln(con.out, "Preparing the sample province … 正在准备示例数据 …")
	}
	s, err := open(con.ctx, cfg, openOptions{roles: parts, create: c.Demo, migrate: c.Demo, demo: c.Demo, wait: deviceWait, log: newLog(con.err, level)})
	if con.stopped(err) { // stopped while it was opening; the next start goes on
		fmt.Fprintln(con.out, "Stopped. 已停止。")
		return nil
	}
	if err != nil {
		return err
	}
	if s.demo != nil {
		s.demo.welcome(con.out, cfg)
	} else {
		fmt.Fprintf(con.out, "Hufu serves %s. Ctrl-C ends it. / 服务已启动，按 Ctrl-C 停止。\n", cfg.URL)
	}
	err = s.Run(con.ctx, listener)
	if closed := s.Close(); err == nil {
		err = closed
	}
	if err == nil {
		fmt.Fprintln(con.out, "Stopped. 已停止。")
	}
	return err
}

// named puts the port that the system chose in the place of port 0.
func named(listen string, addr net.Addr) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil || port != "0" {
		return listen
	}
	_, port, _ = net.SplitHostPort(addr.String())
	return net.JoinHostPort(host, port)
}

// heapGrowth is by how much of its size the heap grows before it is collected, in percent. A server's heap is small (tens of
// megabytes) beside what machines have, and Go's own 100 spends a tenth of the processor on collecting it.
const heapGrowth = 400

// tuneMemory sets heapGrowth, unless the operator has said otherwise by GOGC.
func tuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(heapGrowth)
	}
}
