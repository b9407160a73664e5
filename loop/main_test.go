package loop_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv(scarceEnv) != "" {
		os.Exit(serveWithFewFiles())
	}
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) // gnet starts a worker pool when it is imported
}
