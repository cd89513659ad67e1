package main

import (
	"strings"
	"testing"
)

// TestARotationWithoutItsNewVersion is told without a number that is not known yet.
func TestARotationWithoutItsNewVersion(t *testing.T) {
	waits := keyRotation{Key: "tsa", From: 1, Phase: "making"}.line()
	if !strings.HasPrefix(waits, "rotation of tsa, 1 to the next: the new version is being made") || !strings.HasSuffix(waits, "正在生成新版本") {
		t.Errorf("the device is away: %s", waits)
	}
	if done := (keyRotation{Key: "tsa", From: 1, To: 3, Phase: "done"}).line(); done != "rotation of tsa, 1 to 3: done / 已完成" {
		t.Errorf("done: %s", done)
	}
}
