package generator

// schedule tells when the requests of a group with a rate are meant to be sent: number i at start + i/rate. Latency
// counts from there, so that time which the server, a full socket or this program lost is not hidden.
type schedule struct {
	start int64
	every float64 // nanoseconds from one request to the next, over all workers
	i     int64   // number of the next request among all workers' ones
	step  int64   // workers
	sent  int64   // by this worker
}

func newSchedule(rate float64, start int64, worker, workers int) schedule {
	s := schedule{start: start, i: int64(worker), step: int64(workers)}
	if rate > 0 {
		s.every = 1e9 / rate
	}
	return s
}

// next returns the number of the next request among this worker's, and its time.
func (s *schedule) next() (n, at int64) { return s.sent, s.start + int64(float64(s.i)*s.every) }

func (s *schedule) advance() {
	s.i += s.step
	s.sent++
}
