package tree

import (
	"fmt"
	"strconv"
	"strings"
)

// Checkpoint is what a log states about itself: its name, and its tree.
type Checkpoint struct {
	Origin string // the log's name, such as "ca.example.cn/log"
	Head
	Extensions []string // further lines, not interpreted; none may be empty
}

// Text returns the checkpoint as C2SP tlog-checkpoint writes it: the bytes that are signed.
func (c Checkpoint) Text() string {
	lines := append([]string{c.Origin, strconv.FormatUint(c.Size, 10), c.Root.String()}, c.Extensions...)
	return strings.Join(lines, "\n") + "\n"
}

// ParseCheckpoint reads what Text writes, and nothing else. It checks no signature; see VerifyCheckpoint.
func ParseCheckpoint(text string) (Checkpoint, error) {
	bad := fmt.Errorf("%w: checkpoint %.200q", ErrFormat, text)
	lines := strings.Split(text, "\n")
	if len(lines) < 4 || len(lines) > 20 || lines[len(lines)-1] != "" || !validName(lines[0]) {
		return Checkpoint{}, bad
	}
	c := Checkpoint{Origin: lines[0]}
	var err1, err2 error
	c.Size, err1 = strconv.ParseUint(lines[1], 10, 63)
	c.Root, err2 = ParseHash(lines[2])
	if err1 != nil || err2 != nil || c.Size == 0 && c.Root != EmptyRoot() {
		return Checkpoint{}, bad
	}
	for _, line := range lines[3 : len(lines)-1] {
		if line == "" || len(line) > 1024 {
			return Checkpoint{}, bad
		}
		c.Extensions = append(c.Extensions, line)
	}
	if c.Text() != text {
		return Checkpoint{}, bad
	}
	return c, nil
}
