package login

import (
	_ "embed"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	minPassword = 10  // characters
	maxPassword = 128 // characters
)

// common holds passwords of 10 characters and more that are guessed first, one a line, lower case.
//
//go:embed common.txt
var common string

// CheckPassword refuses a password that is too short or long, or that guessers try first: a common one, a run or a
// repetition, one that is mostly the login name. Which characters it mixes does not matter.
func CheckPassword(account, password string) error {
	if len(password) > 4*maxPassword || !utf8.ValidString(password) {
		return ErrPassword.With("%d bytes", len(password))
	}
	password = norm.NFC.String(password)
	if n := utf8.RuneCountInString(password); n < minPassword || n > maxPassword {
		return ErrPassword.With("%d characters", n)
	}
	lower := strings.ToLower(password)
	switch {
	case strings.ContainsFunc(password, unicode.IsControl):
		return ErrPassword.With("control character")
	case strings.Contains("\n"+common, "\n"+lower+"\n"):
		return ErrPassword.With("in the list of common passwords")
	case monotonous(lower):
		return ErrPassword.With("a run or a repetition")
	case utf8.RuneCountInString(account) >= 3 && utf8.RuneCountInString(strings.ReplaceAll(lower, account, "")) < 6:
		return ErrPassword.With("hardly more than the login name")
	}
	return nil
}

// monotonous reports a password of fewer than four different characters, or one in which each is the successor, the
// predecessor or the equal of the one before in three of four places.
func monotonous(s string) bool {
	runes := []rune(s)
	seen := map[rune]bool{}
	steps := 0
	for i, r := range runes {
		seen[r] = true
		if i > 0 && r-runes[i-1] >= -1 && r-runes[i-1] <= 1 {
			steps++
		}
	}
	return len(seen) < 4 || 4*steps >= 3*(len(runes)-1)
}

// cleanAccount returns the one form of a login name: NFKC, lower case. ErrAccountName: it cannot be one.
func cleanAccount(s string) (string, error) {
	if len(s) > 256 || !utf8.ValidString(s) {
		return "", ErrAccountName.With("%d bytes", len(s))
	}
	s = strings.ToLower(norm.NFKC.String(strings.TrimSpace(s)))
	if n := utf8.RuneCountInString(s); n < 3 || n > 64 {
		return "", ErrAccountName.With("%d characters", n)
	}
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-@+", r) {
			return "", ErrAccountName.With("character %U", r)
		}
	}
	return s, nil
}
