package server

// Check reports what would keep Run from starting, as far as that can be known without
// taking an address, reading a task store, or calling anybody. Any goroutine; the
// server may run meanwhile.
func (s *Server) Check() error {
	r, err := s.newRunState()
	if err != nil {
		return err
	}
	lcfg, _, err := r.configs()
	if err != nil {
		return err
	}
	if err := r.checkAdmin(); err != nil {
		return err
	}
	return lcfg.Check()
}
