package server

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	const ants = "github.com/panjf2000/ants/v2.(*poolCommon)."
	goleak.VerifyTestMain(m, // gnet starts a pool of its own when its package is loaded
		goleak.IgnoreTopFunction(ants+"purgeStaleWorkers"), goleak.IgnoreTopFunction(ants+"ticktock"))
}
