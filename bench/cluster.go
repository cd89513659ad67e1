package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"hufu/store"
)

// cluster is a PostgreSQL to measure on: one of our own, with durable commits, or a schema on the one of --pg.
type cluster struct {
	dsn    string
	server *exec.Cmd // nil: somebody else's
	drop   func()
}

// unprivilegedID is who runs the cluster when the bench runs as root, which PostgreSQL refuses.
const unprivilegedID = 65534

func openCluster(b *bed) (*cluster, error) {
	if b.pg != "" {
		schema := "bench" + strings.ToLower(rand.Text())
		u, err := url.Parse(b.pg)
		if err != nil {
			return nil, err
		}
		if err := store.CreateSchema(b.ctx, b.pg, schema); err != nil {
			return nil, err
		}
		q := u.Query()
		q.Set("search_path", schema)
		u.RawQuery = q.Encode()
		return &cluster{dsn: u.String(), drop: func() { _ = store.DropSchema(context.WithoutCancel(b.ctx), b.pg, schema) }}, nil
	}
	return ownCluster(b)
}

func ownCluster(b *bed) (*cluster, error) {
	dir, err := os.MkdirTemp("", "hufu-bench-pg-") // not beneath b.dir, which is ours alone
	if err != nil {
		return nil, err
	}
	c := &cluster{drop: func() { os.RemoveAll(dir) }}
	if os.Getuid() == 0 {
		if err := os.Chown(dir, unprivilegedID, unprivilegedID); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return nil, err
	}
	l.Close()
	data := filepath.Join(dir, "data")
	if out, err := unprivileged(exec.CommandContext(b.ctx, pgProgram("initdb"), "-D", data, "-U", "hufu", "-A", "trust", "-E", "UTF8", "--locale=C")).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make a PostgreSQL cluster (or name one with --pg): %w: %s", err, out)
	}
	c.server = unprivileged(exec.CommandContext(b.ctx, pgProgram("postgres"), "-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories="+dir, "-c", "max_connections=100", "-c", "shared_buffers=512MB", "-c", "max_wal_size=8GB"))
	c.server.Cancel = func() error { return c.server.Process.Signal(syscall.SIGINT) }
	if err := c.server.Start(); err != nil {
		return nil, err
	}
	c.dsn = "postgres://hufu@127.0.0.1:" + port + "/postgres?sslmode=disable"
	for range 100 {
		db, err := store.Open(b.ctx, c.dsn, store.Options{})
		if err == nil {
			return c, db.Close()
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.close()
	return nil, fmt.Errorf("the PostgreSQL cluster did not start")
}

// pgProgram finds a program of PostgreSQL, which Debian keeps out of the path.
func pgProgram(name string) string {
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if len(found) == 0 {
		return name
	}
	return found[len(found)-1]
}

func unprivileged(c *exec.Cmd) *exec.Cmd {
	c.Dir = "/"
	if os.Getuid() == 0 {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: unprivilegedID, Gid: unprivilegedID}}
	}
	return c
}

// cpu is what the cluster's processes have used; 0 where it is not ours.
func (c *cluster) cpu() time.Duration {
	if c.server == nil {
		return 0
	}
	pid := c.server.Process.Pid
	sum := cpuOf(pid)
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, text := range strings.Fields(string(children)) {
		if child, err := strconv.Atoi(text); err == nil {
			sum += cpuOf(child)
		}
	}
	return sum
}

// tick is the unit of /proc/PID/stat.
const tick = 10 * time.Millisecond

// cpuOf is what another process has used, in user and kernel mode; 0 when it is gone.
func cpuOf(pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), ") ") // behind the name
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	kernel, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+kernel) * tick
}

func (c *cluster) close() {
	if c.server != nil {
		_ = c.server.Process.Signal(syscall.SIGINT)
		_ = c.server.Wait()
	}
	c.drop()
}
