package certstest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// BouncyCastle runs a Java source file of the caller's testdata with Bouncy Castle and returns what it said; ending with another
// code than 0 fails the test. HUFU_TEST_BC names the folder of the jars, /usr/share/java where it is not set. Without Java or
// Bouncy Castle the test is skipped on a developer's desk and fails where CI is set.
func BouncyCastle(t testing.TB, program string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "java", append([]string{"-cp", classes(t), filepath.Join("testdata", program)}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
	return string(out)
}

// classes is the class path.
func classes(t testing.TB) string {
	t.Helper()
	folder := os.Getenv("HUFU_TEST_BC")
	if folder == "" {
		folder = "/usr/share/java"
	}
	var jars []string
	for _, name := range []string{"bcprov.jar", "bcpkix.jar", "bcutil.jar"} {
		jars = append(jars, filepath.Join(folder, name))
	}
	_, javaErr := exec.LookPath("java")
	_, jarErr := os.Stat(jars[1])
	if javaErr != nil || jarErr != nil {
		if os.Getenv("CI") == "" {
			t.Skip("java or Bouncy Castle (libbcpkix-java) is not installed")
		}
		t.Fatalf("java or Bouncy Castle (libbcpkix-java) is not installed: %v, %v", javaErr, jarErr)
	}
	return strings.Join(jars, string(os.PathListSeparator))
}
