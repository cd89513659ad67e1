package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"reflect"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/alecthomas/kong"

	"hufu/internal/fault"
)

// commands is the table of contents of the command line.
type commands struct {
	Serve       serveCommand    `cmd:"" help:"Run the server. Example: hufu serve --demo"`
	Demo        demoCommand     `cmd:"" help:"Run the whole story without a person and keep its files. Example: hufu demo --out demo"`
	Init        initCommand     `cmd:"" help:"Make data folder, key store, database and authorities. Example: hufu init --data /var/lib/hufu"`
	Migrate     migrateCommand  `cmd:"" help:"Bring the database schema up to this version. Example: hufu migrate --config hufu.yaml"`
	CheckConfig checkCommand    `cmd:"" name:"check-config" help:"Print the configuration in force, without secrets. Example: hufu check-config --config hufu.yaml"`
	Doctor      doctorCommand   `cmd:"" help:"Check algorithms, devices, key store and database. Example: hufu doctor --data /var/lib/hufu"`
	Jobs        jobsCommands    `cmd:"" help:"See durable jobs that fail, and run them again; also while the server runs."`
	CA          caCommands      `cmd:"" name:"ca" help:"Work with the authorities: superiors, trust in others, key ceremonies, recovery of keys, certificate profiles."`
	Cert        certCommands    `cmd:"" help:"Apply for certificates, decide on applications and fetch what was issued."`
	Keys        keysCommands    `cmd:"" help:"Work with the keys of a running server."`
	Audit       auditCommands   `cmd:"" help:"Work with the log of all acts."`
	Webhook     webhookCommands `cmd:"" help:"Have other systems told of what the log records."`
	Witness     witnessCommand  `cmd:"" help:"Follow a log and cosign its checkpoints. Example: hufu witness --log http://localhost:8480/pki/log --log-key log.vkey --state witness"`
	Token       tokenCommand    `cmd:"" help:"Log in and print an access token for the API; the password is read from the terminal or from standard input. Example: echo Hufu-demo-2026 | hufu token --account liming --as official"`
	Version     versionCommand  `cmd:"" help:"Print version and algorithms. Example: hufu version"`
}

type auditCommands struct {
	Verify auditVerifyCommand `cmd:"" help:"Check a log from outside, with its public key alone. Example: hufu audit verify --log-key demo/audit/log.vkey demo/audit"`
}

var errUsage = fault.New(fault.Invalid, "usage",
	"See `hufu --help`, or `hufu COMMAND --help` with an example.", "用法见 hufu --help，或 hufu 命令 --help（附示例）。")

// console is where a command writes and when it must stop.
type console struct {
	ctx      context.Context
	out, err io.Writer
}

// stopped tells whether a command that runs until it is told to stop ended for just that reason.
func (con *console) stopped(err error) bool {
	return con.ctx.Err() != nil && errors.Is(err, context.Canceled)
}

func main() {
	if err := keepMemory(); err != nil { // before any key or PIN is read, in every command
		fmt.Fprintln(os.Stderr, "hufu:", err)
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run executes one command line and returns the exit code: 0, or 1 with one line on stderr and the next step to take.
func run(ctx context.Context, args []string, out, errOut io.Writer) (code int) {
	var c commands
	exited := -1
	parser, err := kong.New(&c, kong.Name("hufu"), kong.Description("National-cryptography PKI, unified identity and electronic seals."),
		kong.Writers(out, errOut), kong.Exit(func(code int) { exited = code }), kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.TypeMapper(reflect.TypeFor[time.Time](), kong.MapperFunc(readTime)))
	if err != nil {
		fmt.Fprintln(errOut, "hufu:", err)
		return 1
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	switch {
	case exited >= 0:
		return exited
	case err != nil:
		err = errUsage.With("%w", err)
	default:
		err = parsed.Run(&console{ctx, out, errOut})
	}
	if err != nil {
		fmt.Fprintln(errOut, "hufu:", oneLine(err))
		return 1
	}
	return 0
}

// oneLine is how an error is told at the command line: what was tried and why it failed, then what to do.
func oneLine(err error) string {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return flat(err.Error())
	}
	what := strings.ReplaceAll(err.Error(), ": "+f.Text.EN, "") // said once, however often it was wrapped
	if what == f.Text.EN {
		return flat(f.Text.EN + " / " + f.Text.ZH)
	}
	return flat(what + ": " + f.Text.EN + " / " + f.Text.ZH)
}

// flat joins lines, as errors.Join makes them, into one, and takes out what a terminal might obey.
func flat(s string) string {
	lines := strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' })
	for i, line := range lines {
		lines[i] = strings.TrimSpace(strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return ' '
			}
			return r
		}, line))
	}
	return strings.Join(lines, "; ")
}

// newLog writes operational messages to the console's error stream. It never gets secrets, names or numbers of persons.
func newLog(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// readTime reads the time of a flag (RFC 3339).
func readTime(flag *kong.DecodeContext, into reflect.Value) error {
	var text string
	if err := flag.Scan.PopValueInto("time", &text); err != nil {
		return err
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return fmt.Errorf("%q is not a time such as / 不是有效时间，应写作 2026-12-01T08:00:00+08:00", text)
	}
	into.Set(reflect.ValueOf(at))
	return nil
}
