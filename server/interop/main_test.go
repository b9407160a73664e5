package interop

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// root is the folder of the module millrace, which the tests build, compile against and read the README of.
var root = mustAbs("../..")

// What TestMain prepares: one daemon for all tests, the fixture server, and the program of cmd/everything, which each
// test that needs it starts for itself.
var (
	daemonBin  string
	everyBin   string
	daemon     *process
	fixture    *process
	fixtureErr error // why there is no fixture server; only the tests that need it fail
)

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "millrace-interop-")
	if err != nil {
		log.Print(err)
		return 1
	}
	defer os.RemoveAll(dir)
	installNPM()
	daemonBin = filepath.Join(dir, "millrace")
	everyBin = filepath.Join(dir, "everything")
	for bin, pkg := range map[string]string{daemonBin: "./cmd/millrace", everyBin: "./cmd/everything"} {
		if err := goBuild(root, bin, pkg); err != nil {
			log.Print(err)
			return 1
		}
	}
	if daemon, err = listen(daemonBin, "serve", "--demo", "--legacy-sse", "--admin", "", "--listen"); err != nil {
		log.Print(err)
		return 1
	}
	startFixture(dir)
	code := m.Run()
	for _, p := range []*process{daemon, fixture} {
		if p == nil {
			continue
		}
		if err := p.stop(); err != nil {
			log.Print(err)
			code = 1
		}
		if code != 0 {
			log.Printf("log of %s:\n%s", p, p.log.tail())
		}
	}
	reportSkipped()
	return code
}

func startFixture(dir string) {
	bin := filepath.Join(dir, "fixture")
	if fixtureErr = goBuild(".", bin, "./fixture"); fixtureErr == nil {
		fixture, fixtureErr = listen(bin)
	}
}

// everything starts cmd/everything for one test. It has small pages, so that lists have several.
func everything(t *testing.T) *process {
	t.Helper()
	p, err := listen(everyBin, "--page", "3", "--legacy-sse", "--listen")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("log of %s:\n%s", p, p.log.tail())
		}
	})
	return p
}

// fixtureURL is the endpoint of the fixture server.
func fixtureURL(t *testing.T) string {
	t.Helper()
	if fixtureErr != nil {
		t.Fatalf("no fixture server: %v", fixtureErr)
	}
	return fixture.url()
}

func goBuild(dir, out, pkg string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-o", out}, append(args, pkg)...)...)
	cmd.Dir = dir
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%v in %s: %w\n%s", cmd.Args, dir, err, output)
	}
	return nil
}

func mustAbs(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		panic(err)
	}
	return abs
}
